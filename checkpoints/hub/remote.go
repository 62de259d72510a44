package hub

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"

	"goblip/checkpoints"
)

// Headers is Folder for looking: config.json and the small files are fetched, of weights that are not
// in the cache the headers alone. Weights that are no safetensors have none, and are downloaded.
func (c *Client) Headers(ctx context.Context, id ID) (checkpoints.Tensors, error) {
	if commit := c.repo(id).commit(id.Revision); c.Offline || commit != "" && complete(c.repo(id).snapshot(commit), true) {
		return c.whole(ctx, id)
	}
	list, err := c.list(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", id, err)
	}
	dir, err := c.folder(ctx, id, false)
	if err != nil {
		return nil, err
	}
	// An index goes first, as everywhere.
	index := checkpoints.ModelFile + indexSuffix
	found, err := c.file(ctx, id, list, index, false)
	if err != nil {
		return nil, err
	}
	shards := []string{checkpoints.ModelFile}
	if found {
		if shards, err = shardsOf(filepath.Join(c.repo(id).snapshot(list.commit), index)); err != nil {
			return nil, err
		}
	} else if list.files == nil || !list.files[checkpoints.ModelFile] {
		return c.whole(ctx, id)
	}
	var files []checkpoints.Tensors
	for _, shard := range shards {
		file, err := c.header(ctx, id, list.commit, shard)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", id, shard, err)
		}
		files = append(files, file)
	}
	return checkpoints.NewFolder(dir, files)
}

// whole opens the folder with all weights.
func (c *Client) whole(ctx context.Context, id ID) (checkpoints.Tensors, error) {
	dir, err := c.Folder(ctx, id)
	if err != nil {
		return nil, err
	}
	return checkpoints.OpenFolder(dir)
}

// header reads the header of one file on the hub.
func (c *Client) header(ctx context.Context, id ID, commit, name string) (*checkpoints.File, error) {
	address := c.fileURL(id, commit, name)
	meta, err := c.head(ctx, address)
	if err != nil {
		return nil, err
	}
	if meta.size < 0 {
		return nil, fmt.Errorf("the hub does not say how large it is")
	}
	return checkpoints.OpenHeader(id.String()+"/"+name, &remoteFile{ctx, c, address}, meta.size)
}

// remoteFile reads parts of a file on the hub.
type remoteFile struct {
	ctx     context.Context
	client  *Client
	address string
}

func (r *remoteFile) ReadAt(p []byte, offset int64) (int, error) {
	header := http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", offset, offset+int64(len(p))-1)}}
	response, err := r.client.get(r.ctx, r.address, header)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusPartialContent {
		if _, err := io.CopyN(io.Discard, response.Body, offset); err != nil { // the whole of it comes
			return 0, err
		}
	}
	return io.ReadFull(response.Body, p)
}
