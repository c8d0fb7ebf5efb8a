package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"regexp"

	"pointsman/cmd/backends/sim"
)

// samples are the customers for whom the contenders must answer alike: those that the
// simulation promises to be messy, and for each way to be known or not some of the others.
func samples() []string {
	numbers := []string{
		"C-100042", "C-100043", "C-100044", "C-100045", "C-100046", "C-100047", "C-100048", "C-100049",
		"C-999999", // nobody
	}
	const each = 3
	seen := map[[3]bool]int{}
	for _, c := range sim.NewData(seed, customers).Customers()[50:] { // after the fixed ones
		way := [3]bool{c.SalesforceID != "", c.HubSpotID != "", c.SquareID != ""}
		if seen[way]++; seen[way] <= each {
			numbers = append(numbers, c.Number)
		}
	}
	return numbers
}

// answer is what a contender says about a customer.
type answer struct {
	status int
	body   []byte
}

// compareAnswers asks every contender for every customer. The error tells the first
// difference of each customer.
func compareAnswers(ctx context.Context, w *world, numbers []string) error {
	var errs []error
	found := 0
	answers := make([][]answer, len(w.contenders))
	for i, c := range w.contenders {
		var err error
		if answers[i], err = collect(ctx, w, c, numbers); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		if !c.pointers {
			continue
		}
		if err := resolve(answers[i], numbers); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	for n, customer := range numbers {
		first := answers[0][n]
		if first.status == http.StatusOK {
			found++
		}
		for i := range w.contenders[1:] {
			if other := answers[i+1][n]; !alike(first, other) {
				errs = append(errs, fmt.Errorf("%s: %s answers %d %s\n%s answers %d %s", customer,
					w.contenders[0].name, first.status, first.body, w.contenders[i+1].name, other.status, other.body))
				break
			}
		}
	}
	if 2*found < len(numbers) {
		errs = append(errs, fmt.Errorf("%d of %d customers were found, which proves little", found, len(numbers)))
	}
	return errors.Join(errs...)
}

func collect(ctx context.Context, w *world, c contender, numbers []string) ([]answer, error) {
	conn, err := dial(ctx, c.address, w.clientTLS())
	if err != nil {
		return nil, err
	}
	defer conn.conn.Close()
	answers := make([]answer, len(numbers))
	for i, customer := range numbers {
		status, body, err := conn.ask(request(customer, w.key))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", customer, err)
		}
		answers[i] = answer{status, body}
	}
	return answers, nil
}

// pointerMember is a pointer to a customer where an answer has it.
var pointerMember = regexp.MustCompile(`"customer":"(ptr_customer_[A-Za-z0-9_-]+)"`)

// resolve puts the customer's number into each answer of a contender that has pointers. It is
// an error if one has none, or if two customers are the same pointer.
func resolve(answers []answer, numbers []string) error {
	whose := map[string]string{}
	for i, a := range answers {
		if a.status != http.StatusOK {
			continue
		}
		m := pointerMember.FindSubmatch(a.body)
		if m == nil || bytes.Contains(a.body, []byte(numbers[i])) {
			return fmt.Errorf("%s: want a pointer and not the number: %s", numbers[i], a.body)
		}
		pointer := string(m[1])
		if other, ok := whose[pointer]; ok {
			return fmt.Errorf("%s and %s are the same pointer", other, numbers[i])
		}
		whose[pointer] = numbers[i]
		answers[i].body = bytes.ReplaceAll(a.body, m[1], []byte(numbers[i]))
	}
	return nil
}

// alike reports whether two answers say the same: the same status, and if it is 200 the same
// JSON document, numbers by their text. Documents of errors are each contender's own.
func alike(a, b answer) bool {
	if a.status != b.status || a.status != http.StatusOK {
		return a.status == b.status
	}
	da, errA := document(a.body)
	db, errB := document(b.body)
	return errA == nil && errB == nil && reflect.DeepEqual(da, db)
}

func document(text []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, errors.New("more than one document")
	}
	return v, nil
}
