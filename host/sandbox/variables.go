package sandbox

// variables are Extism's, with the life of one call. Nothing is kept from call to call.
type variables struct {
	values map[string][]byte
	used   int // bytes of names and values, and blockCost each
}

// maxVariables is the room for variables, in bytes: go-sdk's own default.
const maxVariables = 1 << 20

// set stores a copy of value, or removes name if value is nil. It reports false when
// there is no room.
func (v *variables) set(name string, value []byte) bool {
	used := v.used
	if old, ok := v.values[name]; ok {
		used -= len(name) + len(old) + blockCost
	}
	if value == nil {
		delete(v.values, name)
		v.used = used
		return true
	}
	used += len(name) + len(value) + blockCost
	if used > maxVariables {
		return false
	}
	if v.values == nil {
		v.values = map[string][]byte{}
	}
	v.values[name] = append(make([]byte, 0, len(value)), value...)
	v.used = used
	return true
}
