//go:build !wasip1

package pdktest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
)

type mutation struct {
	name string
	text []byte
}

// junk is what a value is replaced with: one of each JSON type, and awkward ones.
var junk = [...]string{"null", "true", "-1.5e3", `""`, `"` + canary + `"`, `"\ud800\u0000"`, "[]", "[null]", "{}", `{"` + canary + `":[{}]}`}

// mutations returns text with each of its values in turn replaced by junk or removed.
func mutations(text []byte) []mutation {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var root any
	if d.Decode(&root) != nil {
		return nil
	}
	var out []mutation
	emit := func(name string) {
		b, err := json.Marshal(root)
		if err == nil {
			out = append(out, mutation{name, b})
		}
	}
	var walk func(path string, v any, set func(any))
	walk = func(path string, v any, set func(any)) {
		for _, j := range junk {
			set(json.RawMessage(j))
			emit(fmt.Sprintf("with %s = %s", path, j))
		}
		set(v)
		switch v := v.(type) {
		case map[string]any:
			for _, k := range sortedKeys(v) {
				old := v[k]
				delete(v, k)
				emit("without " + path + "." + k)
				v[k] = old
				walk(path+"."+k, old, func(x any) { v[k] = x })
			}
		case []any:
			for i, old := range v {
				walk(path+"["+strconv.Itoa(i)+"]", old, func(x any) { v[i] = x })
			}
		}
	}
	walk("", root, func(x any) { root = x })
	return out
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
