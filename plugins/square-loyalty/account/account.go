// Package account owns how Square is asked for loyalty accounts and what its answers mean in the
// shapes of package record.
package account

import (
	"encoding/json"

	"pointsman/pdk"
	"pointsman/pdk/record"
)

// Search is the body of a search for the account of a phone number, in E.164. A programme has
// one account for a number.
func Search(phone string) ([]byte, error) {
	var ask struct {
		Query struct {
			Mappings [1]struct {
				Phone string `json:"phone_number"`
			} `json:"mappings"`
		} `json:"query"`
		Limit int `json:"limit"`
	}
	ask.Query.Mappings[0].Phone = phone
	ask.Limit = 1
	body, err := json.Marshal(ask)
	if err != nil {
		return nil, pdk.Errorf(pdk.Permanent, "the search cannot be written as JSON")
	}
	return body, nil
}

// Found is the answer to a Search. Square leaves an empty list out.
type Found struct {
	Accounts []Account `json:"loyalty_accounts"`
}

// Record is the first account in the shape of package record. The error is pdk.NotFound if
// there is none.
func (f Found) Record() (*record.Loyalty, error) {
	if len(f.Accounts) == 0 {
		return nil, pdk.Errorf(pdk.NotFound, "no account has this phone number")
	}
	return f.Accounts[0].Record()
}

// Account is a LoyaltyAccount as Square writes it; what it does not know is left out.
type Account struct {
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

// Record is the account in the shape of package record. The error is pdk.Permanent: without an
// id it is no account.
func (a Account) Record() (*record.Loyalty, error) {
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
