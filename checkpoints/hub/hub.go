// Package hub finds models in the Hugging Face cache, and downloads those that are not there.
//
//	hub.go       Client and its settings, ID
//	model.go     Folder: the files of a model as a folder on this machine
//	cache.go     the cache's layout, which Python's huggingface_hub shares
//	download.go  one file: resumed, verified, under a lock
//	remote.go    Headers: what a model's weights are, without downloading them
//	request.go   requests: tokens, redirects, what errors mean, waiting
//
// A model that is in the cache is used without any request, so a machine without network works as
// one with it. A newer version is fetched when its revision is asked for, or with Refresh.
package hub

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// DefaultEndpoint is the hub that models come from unless HF_ENDPOINT names another.
const DefaultEndpoint = "https://huggingface.co"

// Client knows a hub and a cache.
type Client struct {
	Endpoint string // URL of the hub
	Token    string // sent to the hub, and to no other host; may be empty
	Cache    string // folder of models--ORG--NAME
	Offline  bool   // make no requests at all
	Refresh  bool   // ask the hub for the newest version of what is in the cache

	// Progress, if not nil, hears how many of a file's bytes are there; total is -1 if it is not known.
	Progress func(file string, done, total int64)

	http  *http.Client
	sleep func(ctx context.Context, d time.Duration) error
}

// New makes a client of the environment, as Python's huggingface_hub reads it: HF_ENDPOINT, HF_TOKEN
// (or the token that its login stored), HF_HUB_CACHE, HF_HOME, HF_HUB_OFFLINE.
func New() (*Client, error) {
	home, err := homeFolder()
	if err != nil {
		return nil, err
	}
	c := &Client{
		Endpoint: strings.TrimRight(first(os.Getenv("HF_ENDPOINT"), DefaultEndpoint), "/"),
		Token:    strings.TrimSpace(first(os.Getenv("HF_TOKEN"), os.Getenv("HUGGING_FACE_HUB_TOKEN"))),
		Cache:    first(os.Getenv("HF_HUB_CACHE"), os.Getenv("HUGGINGFACE_HUB_CACHE"), filepath.Join(home, "hub")),
		Offline:  isSet("HF_HUB_OFFLINE") || isSet("TRANSFORMERS_OFFLINE"),
		http:     newHTTPClient(),
		sleep:    sleep,
	}
	if u, err := url.Parse(c.Endpoint); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("HF_ENDPOINT: %q is not the URL of a hub", c.Endpoint)
	}
	if c.Token == "" {
		stored, err := os.ReadFile(first(os.Getenv("HF_TOKEN_PATH"), filepath.Join(home, "token")))
		if err == nil {
			c.Token = strings.TrimSpace(string(stored))
		}
	}
	if strings.ContainsFunc(c.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, fmt.Errorf("HF_TOKEN: has characters that no access token has")
	}
	return c, nil
}

// homeFolder is where Hugging Face's libraries keep everything.
func homeFolder() (string, error) {
	if home := os.Getenv("HF_HOME"); home != "" {
		return home, nil
	}
	if cache := os.Getenv("XDG_CACHE_HOME"); cache != "" {
		return filepath.Join(cache, "huggingface"), nil
	}
	user, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("no folder for the Hugging Face cache: set HF_HOME: %w", err)
	}
	return filepath.Join(user, ".cache", "huggingface"), nil
}

// first is the first string that is not empty.
func first(all ...string) string {
	for _, s := range all {
		if s != "" {
			return s
		}
	}
	return ""
}

// isSet tells whether a variable says yes.
func isSet(variable string) bool {
	return slices.Contains([]string{"1", "on", "yes", "true"}, strings.ToLower(os.Getenv(variable)))
}

// ID names a model of the hub and its revision: a branch, a tag or a commit.
type ID struct{ Repo, Revision string }

var (
	repoPattern     = regexp.MustCompile(`^([A-Za-z0-9_][A-Za-z0-9_.-]{0,95}/)?[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}$`)
	revisionPattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_./-]{0,254}$`)
	commitPattern   = regexp.MustCompile(`^[0-9a-f]{40}$`)
)

// ParseID reads ORG/NAME, NAME, or either with @REVISION; false if it is none of these.
func ParseID(s string) (ID, bool) {
	repo, revision, given := strings.Cut(s, "@")
	if !given {
		revision = "main"
	}
	ok := repoPattern.MatchString(repo) && !strings.Contains(repo, "..") && !strings.Contains(repo, "--") &&
		revisionPattern.MatchString(revision) && filepath.IsLocal(revision) && !strings.Contains(revision, "..")
	return ID{repo, revision}, ok
}

// String is the reverse of ParseID.
func (id ID) String() string {
	if id.Revision == "main" {
		return id.Repo
	}
	return id.Repo + "@" + id.Revision
}
