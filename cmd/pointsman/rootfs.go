package main

import (
	"io/fs"
	"os"
)

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
