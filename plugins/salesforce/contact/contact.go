// Package contact owns how Salesforce is asked for contacts and what its answers mean in the
// shapes of package record.
package contact

import (
	"pointsman/pdk"
	"pointsman/pdk/record"
)

// Fields is what is asked of a Contact, and so the most that Salesforce hands over.
const Fields = "Id,Customer_Number__c,FirstName,LastName,Name,Email,Phone,MobilePhone,Phone_E164__c," +
	"MailingStreet,MailingCity,MailingState,MailingPostalCode,MailingCountry,Birthdate," +
	"HasOptedOutOfEmail,DoNotCall,LastModifiedDate"

// Query is the SOQL for the contacts of a customer, the one modified last first. customer must
// be a record.Token: such a number holds no quote or backslash, so the query is what it seems.
// It asks for two contacts: the second tells that the first is not alone.
func Query(customer string) string {
	return "SELECT " + Fields + " FROM Contact WHERE Customer_Number__c = '" + customer +
		"' ORDER BY LastModifiedDate DESC LIMIT 2"
}

// Found is the answer to a Query.
type Found struct {
	Records []Contact `json:"records"`
}

// Record is the first contact in the shape of package record. The error is pdk.NotFound if
// there is none.
func (f Found) Record() (*record.Contact, error) {
	if len(f.Records) == 0 {
		return nil, pdk.Errorf(pdk.NotFound, "no contact has this customer number")
	}
	out, err := f.Records[0].Record()
	if err != nil {
		return nil, err
	}
	out.Duplicates = len(f.Records) > 1
	return out, nil
}

// Contact is a Contact as Salesforce writes it; what it does not know is null.
type Contact struct {
	ID            string `json:"Id"`
	Customer      string `json:"Customer_Number__c"`
	FirstName     string
	LastName      string
	Name          string
	Email         string
	Phone         string
	MobilePhone   string
	E164          string `json:"Phone_E164__c"`
	Street        string `json:"MailingStreet"`
	City          string `json:"MailingCity"`
	State         string `json:"MailingState"`
	PostalCode    string `json:"MailingPostalCode"`
	Country       string `json:"MailingCountry"`
	Birthdate     string
	OptedOutEmail *bool `json:"HasOptedOutOfEmail"`
	DoNotCall     *bool
	LastModified  string `json:"LastModifiedDate"`
}

// Record is the contact in the shape of package record. The error is pdk.Permanent: without an
// id it is no contact.
func (c Contact) Record() (*record.Contact, error) {
	if c.ID == "" {
		return nil, pdk.Errorf(pdk.Permanent, "the back end's answer has no contact id")
	}
	name := record.Name{Given: record.Text(c.FirstName), Family: record.Text(c.LastName), Full: record.Text(c.Name)}
	if name.Full == "" {
		name.Full = record.Text(name.Given + " " + name.Family)
	}
	return &record.Contact{
		Source:   "salesforce",
		ID:       c.ID,
		Customer: record.Text(c.Customer),
		Name:     record.OrNil(name),
		Emails:   record.List(record.Email, c.Email),
		Phone:    record.Phone(c.E164),
		Phones:   record.List(record.Phone, c.E164, c.MobilePhone, c.Phone),
		Address: record.OrNil(record.Address{
			Street: record.Text(c.Street), City: record.Text(c.City), Region: record.Text(c.State),
			PostalCode: record.Text(c.PostalCode), Country: record.Text(c.Country),
		}),
		Birthday: record.Date(c.Birthdate),
		Consent:  record.OrNil(record.Consent{EmailOptOut: c.OptedOutEmail, CallOptOut: c.DoNotCall}),
		Updated:  record.Time(c.LastModified),
	}, nil
}
