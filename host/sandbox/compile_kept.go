package sandbox

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"pointsman/host/wasm"
	"pointsman/pdk/wire"
)

// encodeInfo writes what decodeInfo reads: JSON, of this program for this program.
func encodeInfo(info *wasm.Info) ([]byte, error) {
	lean := *info
	lean.Custom = map[string][]byte{}
	for name, data := range info.Custom {
		// The author's manifest stays whatever its size: without it, what is wanted would be
		// taken for not declared.
		if len(data) <= maxSection || name == wire.PluginSection {
			lean.Custom[name] = data
		}
	}
	return json.Marshal(lean)
}

func decodeInfo(text []byte) (*wasm.Info, error) {
	var info wasm.Info
	if err := json.Unmarshal(text, &info); err != nil {
		return nil, err
	}
	return &info, nil
}

// encodeOptions gives equal options, and no others, equal bytes: fmt sorts maps and quotes
// text.
func encodeOptions(o wasm.Options) []byte { return fmt.Appendf(nil, "%#v", o) }

// hashFile is the SHA-256 of a file, in hex.
func hashFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
