package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pointsman/host/manifest"
	"pointsman/host/rehearse"
)

// calls reads what is to be played.
func (c runConfig) calls(stdin io.Reader, function []string) ([]*rehearse.Recording, error) {
	var files []string
	for _, name := range c.exchanges {
		info, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			files = append(files, name)
			continue
		}
		found, err := filepath.Glob(filepath.Join(name, "*.txtar"))
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("%s holds no exchange files, which end in .txtar", name)
		}
		slices.Sort(found)
		files = append(files, found...)
	}
	var all []*rehearse.Recording
	for _, name := range files {
		text, err := readUpTo(name, rehearse.MaxFileBytes)
		if err != nil {
			return nil, err
		}
		one, err := rehearse.Parse(name, text)
		if err != nil {
			return nil, err
		}
		if c.input != "" || len(function) == 0 || one.Function == function[0] {
			all = append(all, one)
		}
	}
	if c.input == "" {
		if len(all) == 0 {
			return nil, errors.New("there is nothing to play; name exchange files with --exchanges, or a FUNCTION and its --input")
		}
		return all, nil
	}
	if len(function) == 0 {
		return nil, errors.New("--input needs the FUNCTION that it is for")
	}
	one := &rehearse.Recording{Name: c.input, Function: function[0]}
	for _, r := range all {
		one.Exchanges = append(one.Exchanges, r.Exchanges...)
	}
	var err error
	if c.input == "-" {
		one.Name = "standard input"
		one.Input, err = io.ReadAll(io.LimitReader(stdin, maxInput+1))
	} else {
		one.Input, err = readUpTo(c.input, maxInput)
	}
	if err == nil && len(one.Input) > maxInput {
		err = fmt.Errorf("%s is larger than %d MiB", one.Name, maxInput>>20)
	}
	return []*rehearse.Recording{one}, err
}

// granted is the plugin's manifest, if there is a folder of them, and the back ends' URLs by the
// plugin's names for them.
func (c runConfig) granted(name string) (*manifest.Plugin, map[string]string, error) {
	var plugin *manifest.Plugin
	urls := map[string]string{}
	if c.manifests != "" {
		if err := folders(c.manifests); err != nil {
			return nil, nil, err
		}
		set, faults := manifest.Load(rootFS(c.manifests))
		if faults.HasErrors() {
			return nil, nil, faults.Err()
		}
		if c.plugin != "" {
			name = c.plugin
		}
		at := slices.IndexFunc(set.Plugins, func(p *manifest.Plugin) bool { return p.Name == name })
		if at < 0 {
			return nil, nil, fmt.Errorf("%s has no plugin %q; say which one it is with --plugin", c.manifests, name)
		}
		plugin = set.Plugins[at]
		for _, g := range plugin.HTTPGrants {
			for _, b := range set.Backends {
				if b.Name == g.Backend && b.HTTP != nil {
					urls[g.As] = b.HTTP.URL
				}
			}
		}
	}
	for _, pair := range c.urls {
		as, url, ok := strings.Cut(pair, "=")
		if !ok || as == "" {
			return nil, nil, fmt.Errorf("--backend %q is not NAME=URL", pair)
		}
		urls[as] = url
	}
	return plugin, urls, nil
}
