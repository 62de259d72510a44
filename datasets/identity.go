package datasets

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"goblip/datasets/blob"
)

// Contents is the SHA-256 of the bytes of all pictures in the order of the
// records: the same wherever they lie, in files, shards or tables. All of them
// are read, and none is decoded; when ctx ends that ends too, with its error.
// progress may be nil.
func (s *Set) Contents(ctx context.Context, progress func(done, total int)) (string, error) {
	sums := make([][sha256.Size]byte, s.Len())
	err := forEach(s.Len(), progress, func(i int) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		data, err := s.Records[i].PictureFile()
		if err != nil {
			return s.Records[i].named(err)
		}
		sums[i] = sha256.Sum256(data)
		return nil
	})
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for i := range sums {
		h.Write(sums[i][:]) // never fails
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Stamp is a hash of where the pictures lie, how large the files are and when
// they were last changed: while it stays the same, so do Contents. It reads no
// picture. ok is false where there is no telling, for gzip shards and servers
// that give no version.
func (s *Set) Stamp() (stamp string, ok bool) {
	h := sha256.New()
	for i := range s.Records {
		r := &s.Records[i]
		var one string
		if r.picture != nil {
			one, ok = r.picture.stamp()
		} else {
			one, ok = blob.FileStamp(r.Image)
		}
		if !ok {
			return "", false
		}
		fmt.Fprintf(h, "%s\n", one)
	}
	return hex.EncodeToString(h.Sum(nil)), s.Len() > 0
}

// storedStamp is the stamp of what lies in a larger file.
func storedStamp(file blob.Blob, place string) (string, bool) {
	stamp, ok := blob.Stamp(file)
	return stamp + " " + place, ok
}
