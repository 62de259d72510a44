package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"

	"goblip/checkpoints"
)

// maxListing bounds the hub's answer about a model. That about the largest has some hundred kilobytes.
const maxListing = 32 << 20

// Folder returns a folder with the files of a model: configuration, tokenizer, processor, weights.
// What is not in the cache is downloaded.
func (c *Client) Folder(ctx context.Context, id ID) (string, error) { return c.folder(ctx, id, true) }

// ConfigFolder is Folder without the weights, which need not be there.
func (c *Client) ConfigFolder(ctx context.Context, id ID) (string, error) {
	return c.folder(ctx, id, false)
}

func (c *Client) folder(ctx context.Context, id ID, weights bool) (string, error) {
	cached := ""
	if commit := c.repo(id).commit(id.Revision); commit != "" {
		cached = c.repo(id).snapshot(commit)
	}
	if cached != "" && complete(cached, weights) && hasSideFiles(cached) && !c.Refresh {
		return cached, nil
	}
	usable := cached != "" && complete(cached, weights)
	if c.Offline {
		if usable {
			return cached, nil
		}
		return "", fmt.Errorf("%s: not in the Hugging Face cache %s, and HF_HUB_OFFLINE forbids downloading it", id, c.Cache)
	}
	dir, err := c.download(ctx, id, weights)
	if err != nil && usable && !c.Refresh && ctx.Err() == nil {
		return cached, nil // no network, and what is there will do
	}
	return dir, err
}

// weightFiles are the kinds of weights, in the order of preference; each may be split with an index.
var weightFiles = []string{checkpoints.ModelFile, checkpoints.TorchFile}

const indexSuffix = ".index.json"

// complete tells whether a snapshot has a configuration and, if asked for, all weights.
func complete(dir string, weights bool) bool {
	if !exists(filepath.Join(dir, checkpoints.ConfigFile)) {
		return false
	}
	if !weights {
		return true
	}
	for _, name := range weightFiles {
		if shards, err := shardsOf(filepath.Join(dir, name+indexSuffix)); err == nil {
			return !slices.ContainsFunc(shards, func(shard string) bool { return !exists(filepath.Join(dir, shard)) })
		}
		if exists(filepath.Join(dir, name)) {
			return true
		}
	}
	return false
}

// hasSideFiles tells whether a snapshot has more than configuration and weights. One that Python
// made may lack them, because it fetches files one by one; ours come before the weights.
func hasSideFiles(dir string) bool {
	return slices.ContainsFunc(checkpoints.SideFiles, func(name string) bool { return exists(filepath.Join(dir, name)) })
}

// shardsOf lists the files of an index.
func shardsOf(path string) ([]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var index struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := json.NewDecoder(io.LimitReader(file, maxListing)).Decode(&index); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	shards := map[string]bool{}
	for _, shard := range index.WeightMap {
		if shard != filepath.Base(shard) || shard == "." || shard == ".." {
			return nil, fmt.Errorf("%s: %q is not the name of a file", path, shard)
		}
		shards[shard] = true
	}
	return slices.Sorted(maps.Keys(shards)), nil
}

// listing is what the hub says of a revision.
type listing struct {
	commit string
	files  map[string]bool // nil if it does not say
}

func (l *listing) mayHave(name string) bool { return l.files == nil || l.files[name] }

// download fetches what a snapshot lacks. Weights come last, so that a snapshot with weights is
// complete, and the revision is noted when all is there.
func (c *Client) download(ctx context.Context, id ID, weights bool) (string, error) {
	list, err := c.list(ctx, id)
	if err != nil {
		return "", fmt.Errorf("%s: %w", id, err)
	}
	if !list.mayHave(checkpoints.ConfigFile) {
		return "", fmt.Errorf("%s: the model has no %s: goblip cannot use it", id, checkpoints.ConfigFile)
	}
	if _, err := c.file(ctx, id, list, checkpoints.ConfigFile, true); err != nil {
		return "", err
	}
	for _, name := range checkpoints.SideFiles {
		if _, err := c.file(ctx, id, list, name, false); err != nil {
			return "", err
		}
	}
	if weights {
		if err := c.weights(ctx, id, list); err != nil {
			return "", err
		}
	}
	if err := c.repo(id).setCommit(id.Revision, list.commit); err != nil {
		return "", err
	}
	return c.repo(id).snapshot(list.commit), nil
}

// weights fetches the first kind of weights that the model has.
func (c *Client) weights(ctx context.Context, id ID, list *listing) error {
	for _, name := range weightFiles {
		if found, err := c.file(ctx, id, list, name+indexSuffix, false); err != nil {
			return err
		} else if found {
			shards, err := shardsOf(filepath.Join(c.repo(id).snapshot(list.commit), name+indexSuffix))
			if err != nil {
				return err
			}
			for _, shard := range shards {
				if _, err := c.file(ctx, id, list, shard, true); err != nil {
					return err
				}
			}
			return nil
		}
		if found, err := c.file(ctx, id, list, name, false); found || err != nil {
			return err
		}
	}
	return fmt.Errorf("%s: the model has no %s and no %s", id, weightFiles[0], weightFiles[1])
}

// list asks which commit a revision is and which files it has. A mirror may answer for files alone;
// then the commit comes with the first of them.
func (c *Client) list(ctx context.Context, id ID) (*listing, error) {
	response, err := c.get(ctx, c.Endpoint+"/api/models/"+id.Repo+"/revision/"+id.Revision, nil)
	var status *statusError
	if errors.As(err, &status) && status.code == http.StatusNotFound {
		meta, err := c.head(ctx, c.fileURL(id, id.Revision, checkpoints.ConfigFile))
		if err != nil {
			return nil, err
		}
		if !commitPattern.MatchString(meta.commit) {
			return nil, fmt.Errorf("%s does not say which commit %s is", c.Endpoint, id.Revision)
		}
		return &listing{commit: meta.commit}, nil
	}
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var answer struct {
		SHA      string `json:"sha"`
		Siblings []struct {
			Name string `json:"rfilename"`
		} `json:"siblings"`
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, maxListing)).Decode(&answer); err != nil {
		return nil, fmt.Errorf("the hub's answer about the model: %w", err)
	}
	if !commitPattern.MatchString(answer.SHA) {
		return nil, fmt.Errorf("the hub's answer about the model has no commit")
	}
	list := &listing{commit: answer.SHA, files: map[string]bool{}}
	for _, s := range answer.Siblings {
		list.files[s.Name] = true
	}
	return list, nil
}

// file fetches a file of a snapshot unless it is there. found is false if the model does not have it
// and need not.
func (c *Client) file(ctx context.Context, id ID, list *listing, name string, required bool) (found bool, err error) {
	if !list.mayHave(name) {
		if required {
			return false, fmt.Errorf("%s: the model has no file %s", id, name)
		}
		return false, nil
	}
	if exists(filepath.Join(c.repo(id).snapshot(list.commit), name)) {
		return true, nil
	}
	err = c.fetch(ctx, id, list.commit, name)
	var status *statusError
	if errors.As(err, &status) && status.code == http.StatusNotFound && !required && list.files == nil {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("%s: %s: %w", id, name, err)
	}
	return true, nil
}
