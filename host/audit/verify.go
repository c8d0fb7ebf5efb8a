package audit

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/go-json-experiment/json"
)

// Report says what Verify found.
//
// A chain shows what was changed, moved or taken out before its last line. It cannot show
// that lines were taken off its end, or that the whole file was made anew by someone who
// can write it: for that, compare Last with a seq and hash that were noted elsewhere.
type Report struct {
	Lines       int   // lines that hold, before the first bad one
	First, Last Mark  // the first and last of these; zero when Lines is 0
	Bad         *Bad  // nil when every line holds
	Torn        int64 // bytes after the last newline; if any, Bad names that line
}

// Mark names one line.
type Mark struct {
	Seq  uint64
	Time time.Time
	Hash string // hex
}

// Bad is the first line that does not hold.
type Bad struct {
	Line   int // counted from 1
	Reason string
}

// Verify reads a whole log and says whether its chain holds. It needs a fixed amount of
// memory. The error is r's own; what the file says is in the report.
func Verify(r io.Reader) (Report, error) { return verify(r, tip{}, false) }

// verify checks the lines of r as those that follow at. If trust is set, the first line
// is believed about its own number and predecessor.
func verify(r io.Reader, at tip, trust bool) (Report, error) {
	return walk(r, at, trust, func([]byte, time.Time) {})
}

// walk is verify, and gives each line that holds to visit, which must not keep it.
func walk(r io.Reader, at tip, trust bool, visit func(line []byte, at time.Time)) (Report, error) {
	var rep Report
	in := bufio.NewReaderSize(r, maxLine)
	bad := func(format string, args ...any) (Report, error) {
		rep.Bad = &Bad{Line: int(at.seq) + 1, Reason: fmt.Sprintf(format, args...)}
		return rep, nil
	}
	for {
		line, err := in.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF) && len(line) == 0:
			return rep, nil
		case errors.Is(err, io.EOF):
			rep.Torn = int64(len(line))
			return bad("the line is cut off")
		case errors.Is(err, bufio.ErrBufferFull):
			return bad("the line has more than %d bytes", maxLine)
		case err != nil:
			return rep, err
		}
		l, err := parseLine(line)
		if err != nil {
			return bad("%s", err)
		}
		if trust && rep.Lines == 0 {
			at = tip{l.seq - 1, l.prev}
		}
		switch {
		case l.seq != at.seq+1:
			return bad("its number is %d, want %d", l.seq, at.seq+1)
		case l.prev != at.hash:
			return bad("it does not follow the line before it")
		case chain(l.prev, l.body) != l.hash:
			return bad("its hash does not match its content")
		}
		at = l.tip
		rep.Last = Mark{l.seq, l.time, hex.EncodeToString(l.hash[:])}
		if rep.Lines == 0 {
			rep.First = rep.Last
		}
		rep.Lines++
		visit(line, l.time)
	}
}

// parsed is a line taken apart.
type parsed struct {
	tip
	prev [len(tip{}.hash)]byte
	time time.Time
	body []byte // what the hash covers; shares memory with the line
}

var errForm = errors.New("it does not have the form of a record")

// parseLine takes apart a line with its newline.
func parseLine(line []byte) (p parsed, err error) {
	if len(line) < sealLen {
		return p, errForm
	}
	cut := len(line) - sealLen
	p.body = line[:cut]
	seal := line[cut:]
	if !bytes.HasPrefix(seal, []byte(hashLead)) || !bytes.HasSuffix(seal, []byte(hashTail)) ||
		!decodeHex(p.hash[:], seal[len(hashLead):len(hashLead)+hexLen]) {
		return p, errForm
	}
	var head struct {
		Seq  uint64    `json:"seq"`
		Time time.Time `json:"time"`
		Kind string    `json:"kind"`
		Prev string    `json:"prev"`
		Hash string    `json:"hash"`
	}
	if err := json.Unmarshal(line, &head); err != nil || head.Seq == 0 || head.Kind == "" {
		return p, errForm
	}
	if !decodeHex(p.prev[:], []byte(head.Prev)) {
		return p, errForm
	}
	p.seq, p.time = head.Seq, head.Time
	return p, nil
}

// decodeHex fills dst from lower-case hex and reports whether src is just that.
func decodeHex(dst, src []byte) bool {
	if len(src) != 2*len(dst) || bytes.ContainsAny(src, "ABCDEF") {
		return false
	}
	_, err := hex.Decode(dst, src)
	return err == nil
}
