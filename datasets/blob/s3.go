package blob

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

// S3 is how buckets are reached. Empty fields come from the environment, under the names that all
// tools use: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION,
// AWS_ENDPOINT_URL. Without keys requests are not signed, which public buckets allow.
type S3 struct {
	AccessKey, SecretKey, SessionToken string
	Region                             string // default us-east-1
	Endpoint                           string // of a server that speaks S3; default Amazon's
}

func (s S3) withEnvironment() S3 {
	s.AccessKey = cmp.Or(s.AccessKey, os.Getenv("AWS_ACCESS_KEY_ID"))
	s.SecretKey = cmp.Or(s.SecretKey, os.Getenv("AWS_SECRET_ACCESS_KEY"))
	s.SessionToken = cmp.Or(s.SessionToken, os.Getenv("AWS_SESSION_TOKEN"))
	s.Region = cmp.Or(s.Region, os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"), "us-east-1")
	s.Endpoint = strings.TrimSuffix(cmp.Or(s.Endpoint, os.Getenv("AWS_ENDPOINT_URL_S3"), os.Getenv("AWS_ENDPOINT_URL")), "/")
	return s
}

// signer signs requests; nil: they go unsigned.
type signer struct{ S3 }

// resolve turns "s3://bucket/key" into an address. Own endpoints and buckets with dots, which a
// certificate for *.s3 does not cover, have the bucket in the path.
func (s S3) resolve(name string) (*signer, string, error) {
	bucket, key, ok := strings.Cut(strings.TrimPrefix(name, "s3://"), "/")
	if !ok || bucket == "" || key == "" {
		return nil, "", fmt.Errorf("%s: want s3://BUCKET/KEY", name)
	}
	s = s.withEnvironment()
	var address string
	switch {
	case s.Endpoint != "":
		address = s.Endpoint + "/" + bucket + "/" + escapePath(key)
	case strings.Contains(bucket, "."):
		address = "https://s3." + s.Region + ".amazonaws.com/" + bucket + "/" + escapePath(key)
	default:
		address = "https://" + bucket + ".s3." + s.Region + ".amazonaws.com/" + escapePath(key)
	}
	if _, err := url.Parse(address); err != nil {
		return nil, "", fmt.Errorf("%s: %w", name, err)
	}
	if s.AccessKey == "" || s.SecretKey == "" {
		return nil, address, nil
	}
	return &signer{s}, address, nil
}

// escapePath escapes all but unreserved characters and slashes, as the signature wants it.
func escapePath(path string) string {
	var b strings.Builder
	for _, c := range []byte(path) {
		if c == '/' || c == '-' || c == '_' || c == '.' || c == '~' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// emptyHash is the SHA-256 of a request's empty body.
const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// sign adds AWS Signature Version 4 to a request without a body.
func (s *signer) sign(r *http.Request, now time.Time) {
	stamp := now.UTC().Format("20060102T150405Z")
	day := stamp[:8]
	r.Header.Set("X-Amz-Date", stamp)
	r.Header.Set("X-Amz-Content-Sha256", emptyHash)
	if s.SessionToken != "" {
		r.Header.Set("X-Amz-Security-Token", s.SessionToken)
	}
	headers := map[string]string{"host": r.URL.Host}
	for name := range r.Header {
		headers[strings.ToLower(name)] = strings.TrimSpace(r.Header.Get(name))
	}
	var names []string
	for name := range headers {
		names = append(names, name)
	}
	slices.Sort(names)
	canonical := r.Method + "\n" + r.URL.EscapedPath() + "\n" + r.URL.RawQuery + "\n"
	for _, name := range names {
		canonical += name + ":" + headers[name] + "\n"
	}
	signed := strings.Join(names, ";")
	canonical += "\n" + signed + "\n" + emptyHash
	scope := day + "/" + s.Region + "/s3/aws4_request"
	hash := sha256.Sum256([]byte(canonical))
	text := "AWS4-HMAC-SHA256\n" + stamp + "\n" + scope + "\n" + hex.EncodeToString(hash[:])
	key := []byte("AWS4" + s.SecretKey)
	for _, part := range []string{day, s.Region, "s3", "aws4_request", text} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+s.AccessKey+"/"+scope+", SignedHeaders="+signed+", Signature="+hex.EncodeToString(key))
}
