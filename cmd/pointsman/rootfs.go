package main

import (
	"fmt"
	"io/fs"
	"os"
)

// folders refuses names that are not those of folders; an empty one is left out.
func folders(names ...string) error {
	for _, name := range names {
		if info, err := os.Stat(name); name != "" && (err != nil || !info.IsDir()) {
			return refused(fmt.Errorf("%s is not a folder", name))
		}
	}
	return nil
}

// rootFS is a folder from which no name leads out, neither by dots nor by links. The
// folder is opened at every use, so that one that appears or is replaced later is read.
type rootFS string

func (r rootFS) Open(name string) (fs.File, error) {
	root, err := os.OpenRoot(string(r))
	if err != nil {
		return nil, err
	}
	f, err := root.FS().Open(name)
	if cerr := root.Close(); err == nil && cerr != nil { // the open file outlives its root
		return nil, cerr
	}
	return f, err
}
