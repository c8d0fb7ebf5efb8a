package main

import (
	"pointsman/pdk"
	"pointsman/pdk/record"
	"pointsman/plugins/square-loyalty/account"
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
		Account account.Account `json:"loyalty_account"`
	}
	if err := reply.JSON(&got); err != nil {
		return nil, err
	}
	return got.Account.Record()
}

// Find reads the account of a phone number. A programme has one account for a number.
func (Square) Find(h *pdk.Host, in FindInput) (*record.Loyalty, error) {
	if in.Phone == "" || record.Phone(in.Phone) != in.Phone {
		return nil, pdk.Errorf(pdk.Permanent, "input: phone must be E.164: + and 8 to 15 digits")
	}
	body, err := account.Search(in.Phone)
	if err != nil {
		return nil, err
	}
	reply, err := h.Do(pdk.Request{
		Backend: backend, Method: "POST", Path: accounts + "/search", Body: body,
		Header: []pdk.Field{{Name: "Content-Type", Value: "application/json"}, {Name: "Square-Version", Value: version}},
	})
	if err != nil {
		return nil, err
	}
	var found account.Found
	if err := reply.JSON(&found); err != nil {
		return nil, err
	}
	return found.Record()
}
