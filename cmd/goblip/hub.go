package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"goblip/checkpoints"
	"goblip/checkpoints/hub"
)

// modelFlags are the flags that name a model: a folder, or a model of the hub.
var modelFlags = []string{"checkpoint", "init", "vision", "llm"}

// resolveModels replaces models of the hub that flags name by their folders in the cache, which it
// fills where it must. Every command goes through it before its own code.
func resolveModels(cmd *cobra.Command) error {
	for _, name := range modelFlags {
		flag := cmd.Flags().Lookup(name)
		if flag == nil || !flag.Changed || flag.Value.Type() != "string" {
			continue
		}
		folder, err := modelFolder(cmd, flag.Value.String(), true)
		if err != nil {
			return fmt.Errorf("--%s: %w", name, err)
		}
		if err := flag.Value.Set(folder); err != nil {
			return err
		}
	}
	return nil
}

// modelFolder turns a model's name into a path: what is on disk stays, a model of the hub becomes its
// folder in the cache. Without weights, its configuration will do.
func modelFolder(cmd *cobra.Command, name string, weights bool) (string, error) {
	id, ok := hubModel(name)
	if !ok {
		return name, nil
	}
	client, err := hub.New()
	if err != nil {
		return "", err
	}
	folder, err := fetchModel(cmd, client, id, weights)
	if err != nil {
		return "", notHere(err)
	}
	return folder, nil
}

// hubModel tells a model of the hub from a path: nothing on disk has its name.
func hubModel(name string) (hub.ID, bool) {
	if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
		return hub.ID{}, false // there, or something that the reader reports better
	}
	switch filepath.Ext(name) {
	case ".pth", ".pt", ".ckpt", ".bin", ".safetensors", ".json":
		return hub.ID{}, false
	}
	return hub.ParseID(name)
}

func notHere(err error) error {
	return fmt.Errorf("no folder of this name here, and as a model of the hub: %w", err)
}

// openModel opens a path, or a model of the hub as far as one can look at it without its weights.
func openModel(cmd *cobra.Command, name string) (checkpoints.Tensors, error) {
	id, ok := hubModel(name)
	if !ok {
		return checkpoints.OpenTensors(name)
	}
	client, err := hub.New()
	if err != nil {
		return nil, err
	}
	progress := &downloadProgress{quiet: isQuiet(cmd)}
	client.Progress = progress.update
	defer progress.done()
	tensors, err := client.Headers(cmd.Context(), id)
	if err != nil {
		return nil, notHere(err)
	}
	return tensors, nil
}

// fetchModel shows the progress of downloads.
func fetchModel(cmd *cobra.Command, client *hub.Client, id hub.ID, weights bool) (string, error) {
	progress := &downloadProgress{quiet: isQuiet(cmd)}
	client.Progress = progress.update
	defer progress.done()
	if !weights {
		return client.ConfigFolder(cmd.Context(), id)
	}
	return client.Folder(cmd.Context(), id)
}

// isQuiet says whether a command was asked for JSON.
func isQuiet(cmd *cobra.Command) bool {
	flag := cmd.Flags().Lookup("json")
	return flag != nil && flag.Value.String() == "true"
}

// downloadProgress shows a bar a file, in MiB.
type downloadProgress struct {
	quiet bool
	file  string
	bar   interface {
		Update(done, total int)
		Done()
	}
}

// smallFile is what comes too fast to be shown, in bytes.
const smallFile = 8 << 20

func (p *downloadProgress) update(file string, done, total int64) {
	if total >= 0 && total < smallFile {
		return
	}
	if file != p.file {
		p.done()
		p.file, p.bar = file, barFor("downloading "+file+", MiB", int(max(total, 0)>>20), p.quiet)
	}
	p.bar.Update(int(done>>20), int(max(total, 0)>>20))
}

func (p *downloadProgress) done() {
	if p.bar != nil {
		p.bar.Done()
		p.bar = nil
	}
}

func newDownloadCommand() *cobra.Command {
	var refresh, configOnly, asJSON bool
	command := &cobra.Command{
		Use:   "download MODEL...",
		Short: "Fetch models of the Hugging Face hub into its cache",
		Long: `Fetch models of the Hugging Face hub, as ORG/NAME or ORG/NAME@REVISION, into the cache that
Hugging Face's own libraries use, and print their folders. A model that is in the cache is not
fetched again; --refresh asks for its newest version.

Every flag that takes a model folder takes such a name too and downloads what is not there, so this
command is needed only beforehand, for a machine that will be offline. The environment decides as it
does for Hugging Face's libraries: HF_TOKEN, HF_ENDPOINT, HF_HOME, HF_HUB_CACHE, HF_HUB_OFFLINE.`,
		Example: `  goblip download Salesforce/blip2-opt-2.7b
  HF_HUB_OFFLINE=1 goblip caption --checkpoint Salesforce/blip2-opt-2.7b picture.jpg`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := hub.New()
			if err != nil {
				return err
			}
			client.Refresh = refresh
			for _, name := range args {
				id, ok := hub.ParseID(name)
				if !ok {
					return usagef("%q is not the name of a model of the hub: ORG/NAME or ORG/NAME@REVISION", name)
				}
				folder, err := fetchModel(cmd, client, id, !configOnly)
				if err != nil {
					return err
				}
				if asJSON {
					if err := writeJSON(cmd.OutOrStdout(), map[string]any{"model": id.String(), "folder": folder}); err != nil {
						return err
					}
					continue
				}
				fmt.Fprintln(cmd.OutOrStdout(), folder)
			}
			return nil
		},
	}
	command.Flags().BoolVar(&refresh, "refresh", false, "ask the hub for the newest version")
	command.Flags().BoolVar(&configOnly, "config-only", false, "configuration and tokenizer, without weights")
	command.Flags().BoolVar(&asJSON, "json", false, "one JSON object a model")
	return command
}
