package main

import (
	"encoding/json"

	"pointsman/pdk"
	"pointsman/pdk/record"
)

// backend is the name that plugin.yaml wants.
const backend = "square"

const accounts = "/v2/loyalty/accounts"

// version pins the shape of Square's answers; without it Square uses the application's default.
const version = "2025-01-23"

// Square reads loyalty accounts.
type Square struct{}

// GetInput names one account.
type GetInput struct {
	Account string `json:"account"` // a loyalty account's id
}

// FindInput names one member.
type FindInput struct {
	Phone string `json:"phone"` // E.164, such as "+13125550142"
}

// maxAccount is the longest account id, in bytes (Square API reference, LoyaltyAccount.id).
const maxAccount = 36

// Get reads the account with an id.
func (Square) Get(h *pdk.Host, in GetInput) (*record.Loyalty, error) {
	if !record.Token(in.Account, maxAccount) {
		return nil, pdk.Errorf(pdk.Permanent, "input: account must be 1 to %d letters, digits and hyphens", maxAccount)
	}
	path, err := pdk.Path(accounts+"/{id}", in.Account)
	if err != nil {
		return nil, err
	}
	reply, err := h.Do(pdk.Request{Backend: backend, Path: path, Header: []pdk.Field{{Name: "Square-Version", Value: version}}})
	if err != nil {
		return nil, err
	}
	var got struct {
		Account account `json:"loyalty_account"`
	}
	if err := reply.JSON(&got); err != nil {
		return nil, err
	}
	return got.Account.normal()
}

// Find reads the account of a phone number. A programme has one account for a number.
func (Square) Find(h *pdk.Host, in FindInput) (*record.Loyalty, error) {
	if in.Phone == "" || record.Phone(in.Phone) != in.Phone {
		return nil, pdk.Errorf(pdk.Permanent, "input: phone must be E.164: + and 8 to 15 digits")
	}
	var ask struct {
		Query struct {
			Mappings [1]struct {
				Phone string `json:"phone_number"`
			} `json:"mappings"`
		} `json:"query"`
		Limit int `json:"limit"`
	}
	ask.Query.Mappings[0].Phone = in.Phone
	ask.Limit = 1
	body, err := json.Marshal(ask)
	if err != nil {
		return nil, pdk.Errorf(pdk.Permanent, "the search cannot be written as JSON")
	}
	reply, err := h.Do(pdk.Request{
		Backend: backend, Method: "POST", Path: accounts + "/search", Body: body,
		Header: []pdk.Field{{Name: "Content-Type", Value: "application/json"}, {Name: "Square-Version", Value: version}},
	})
	if err != nil {
		return nil, err
	}
	var found struct {
		Accounts []account `json:"loyalty_accounts"`
	}
	if err := reply.JSON(&found); err != nil {
		return nil, err
	}
	if len(found.Accounts) == 0 { // Square leaves an empty list out
		return nil, pdk.Errorf(pdk.NotFound, "no account has this phone number")
	}
	return found.Accounts[0].normal()
}

// account is a LoyaltyAccount as Square writes it; what it does not know is left out.
type account struct {
	ID       string      `json:"id"`
	Balance  json.Number `json:"balance"`
	Lifetime json.Number `json:"lifetime_points"`
	Enrolled string      `json:"enrolled_at"`
	Updated  string      `json:"updated_at"`
	Expiring []struct {
		Points json.Number `json:"points"`
		At     string      `json:"expires_at"`
	} `json:"expiring_point_deadlines"`
}

func (a account) normal() (*record.Loyalty, error) {
	if a.ID == "" {
		return nil, pdk.Errorf(pdk.Permanent, "the back end's answer has no account id")
	}
	out := &record.Loyalty{
		Source: "square", Account: a.ID, Balance: a.Balance, Lifetime: a.Lifetime,
		Enrolled: record.Time(a.Enrolled), Updated: record.Time(a.Updated),
	}
	for _, e := range a.Expiring {
		if at := record.Time(e.At); at != "" && e.Points != "" {
			out.Expiring = append(out.Expiring, record.Expiry{Points: e.Points, At: at})
		}
	}
	return out, nil
}
