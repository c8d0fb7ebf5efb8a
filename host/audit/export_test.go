package audit

import "os"

// File is what the log needs of its file, for tests that let it fail.
type File = file

// OpenWith is Open with a file that wrap may stand in front of.
func OpenWith(dir string, o Options, wrap func(*os.File) File) (*Log, error) {
	return open(dir, o, wrap)
}

// CheckEnd is what Open does to a file's chain, with other sizes.
func CheckEnd(f *os.File, whole, tail int64) (lines uint64, torn int64, err error) {
	at, torn, err := readEnd(f, whole, tail)
	return at.seq, torn, err
}
