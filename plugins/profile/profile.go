package main

import (
	"encoding/json"

	"pointsman/pdk"
	"pointsman/plugins/profile/rules"
)

// Profile merges records of one customer; rules.Merge says which value wins.
type Profile struct{}

// ComposeInput is what Compose takes.
type ComposeInput struct {
	Parts []json.RawMessage `json:"parts"` // records as in package record; null for a source that had none
}

// Compose merges the parts into one profile.
func (Profile) Compose(_ *pdk.Host, in ComposeInput) (*rules.Profile, error) {
	parts, err := rules.Read(in.Parts)
	if err != nil {
		return nil, err
	}
	return rules.Merge(parts)
}
