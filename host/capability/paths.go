package capability

import (
	"encoding/json"
	"errors"

	strict "github.com/go-json-experiment/json"

	"pointsman/host/view"
)

// Paths is the view of a grant, as its canonical JSON has it: a list of paths or the word
// "all". The zero Paths is a grant without a view, which shows nothing.
type Paths struct {
	all   bool
	paths []string
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *Paths) UnmarshalJSON(text []byte) error {
	var word string
	if strict.Unmarshal(text, &word) == nil {
		if word != "all" {
			return errors.New(`a view is a list of paths or the word "all"`)
		}
		*p = Paths{all: true}
		return nil
	}
	p.all = false
	return strict.Unmarshal(text, &p.paths)
}

// MarshalJSON implements json.Marshaler.
func (p Paths) MarshalJSON() ([]byte, error) {
	if p.all {
		return []byte(`"all"`), nil
	}
	return json.Marshal(p.paths)
}

// View compiles the paths.
func (p Paths) View() (view.View, error) {
	if p.all {
		return view.All(), nil
	}
	return view.Parse(p.paths)
}
