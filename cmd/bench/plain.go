package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"pointsman/pdk"
	"pointsman/pdk/record"
	hubspot "pointsman/plugins/hubspot/contact"
	"pointsman/plugins/profile/rules"
	salesforce "pointsman/plugins/salesforce/contact"
	"pointsman/plugins/square-loyalty/account"
)

// plain is the service as one writes it without a broker: a handler, a client, structs. It
// shares with the plugins what records mean and how they merge, and nothing of the host.
type plain struct {
	client   *http.Client
	backends map[string]backend
}

func newPlain(c config) (*plain, error) {
	transport, err := backendTransport(c)
	if err != nil {
		return nil, err
	}
	return &plain{&http.Client{Transport: transport}, c.Backends}, nil
}

// backendTransport trusts the back ends' authority and keeps their connections.
func backendTransport(c config) (*http.Transport, error) {
	text, err := os.ReadFile(filepath.Join(c.Dir, "ca.pem"))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, errors.New("ca.pem holds no certificate")
	}
	return &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
		MaxIdleConnsPerHost: 64, // the manifests' concurrent
	}, nil
}

// profile asks both CRMs at once and the loyalty system when Salesforce has told a phone.
func (p *plain) profile(ctx context.Context, customer string) ([]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	crm := make(chan *rules.Part, 1)
	go func() {
		var part *rules.Part
		if c, err := p.hubspot(ctx, customer); err == nil { // its record is optional
			part = rules.Person(c)
		}
		crm <- part
	}()
	c, err := p.salesforce(ctx, customer)
	if err != nil {
		return nil, err
	}
	parts := []*rules.Part{rules.Person(c), nil, nil}
	if c.Phone != "" {
		if l, err := p.square(ctx, c.Phone); err == nil { // so is this one
			parts[2] = rules.Member(l)
		}
	}
	parts[1] = <-crm
	merged, err := rules.Merge(parts)
	if err != nil {
		return nil, err
	}
	return json.Marshal(merged)
}

func (p *plain) salesforce(ctx context.Context, customer string) (*record.Contact, error) {
	var found salesforce.Found
	query := url.Values{"q": {salesforce.Query(customer)}}
	err := p.ask(ctx, "salesforce", http.MethodGet, "/services/data/v62.0/query?"+query.Encode(), nil, &found)
	if err != nil {
		return nil, err
	}
	return found.Record()
}

func (p *plain) hubspot(ctx context.Context, customer string) (*record.Contact, error) {
	body, err := hubspot.Search(customer)
	if err != nil {
		return nil, err
	}
	var found hubspot.Found
	if err := p.ask(ctx, "hubspot", http.MethodPost, "/crm/v3/objects/contacts/search", body, &found); err != nil {
		return nil, err
	}
	return found.Record()
}

func (p *plain) square(ctx context.Context, phone string) (*record.Loyalty, error) {
	body, err := account.Search(phone)
	if err != nil {
		return nil, err
	}
	var found account.Found
	if err := p.ask(ctx, "square", http.MethodPost, "/v2/loyalty/accounts/search", body, &found); err != nil {
		return nil, err
	}
	return found.Record()
}

// ask sends a request to a back end and decodes the answer into v.
func (p *plain) ask(ctx context.Context, name, method, path string, body []byte, v any) error {
	to := p.backends[name]
	req, err := http.NewRequestWithContext(ctx, method, to.URL+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+to.Token)
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if name == "square" {
		req.Header.Set("Square-Version", "2025-01-23")
	}
	res, err := p.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 256<<10)) // the manifests' bytes
	if err != nil {
		return err
	}
	return (&pdk.Reply{Status: res.StatusCode, Body: text}).JSON(v)
}
