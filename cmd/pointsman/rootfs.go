package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
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
// Only folders and regular files open: a pipe or a device would keep its reader for ever.
type rootFS string

var errSpecial = errors.New("is not a regular file")

func (r rootFS) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	root, err := os.OpenRoot(string(r))
	if err != nil {
		return nil, err
	}
	defer root.Close() // the open file outlives its root
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.IsDir() && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: errSpecial}
	}
	if err != nil {
		f.Close() // nothing was read or written
		return nil, err
	}
	return f, nil
}
