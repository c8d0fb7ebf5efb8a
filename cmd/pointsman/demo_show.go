package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"pointsman/cmd/backends/store"
)

// show prints the answer, and unless it is all that is wanted, what to do next.
func (w *demoWorld) show(ctx context.Context, out io.Writer, r demoReply, c demoConfig) error {
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, r.body, "", "  "); err != nil {
		return fmt.Errorf("the answer is not JSON: %w", err)
	}
	pretty.WriteByte('\n')
	if c.once {
		_, err := out.Write(pretty.Bytes())
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, `
GET %s, asked by %s, answered %d in %d ms
Pointsman-Complete: %s
Pointsman-Sources: %s

%s
One customer, from three systems, through four sandboxes. Ask yourself:

  %s

`, demoPath, demoConsumer, r.status, r.took.Milliseconds(), r.complete, r.sources, &pretty, w.curl(demoConsumer, demoPath))
	if err := w.showPointers(ctx, &b, pointerIn(r.body)); err != nil {
		return err
	}
	if c, ok := w.people.Customer(demoCustomer); ok && w.keys["till"] != "" {
		fmt.Fprintf(&b, "The till may ask for loyalty, and nothing else:\n\n  %s\n\n", w.curl("till", "/v1/loyalty/"+c.SquareID))
	}
	w.showPlaces(&b, c)
	_, err := io.WriteString(out, b.String())
	return err
}

// showPointers shows what a pointer is good for, and to whom.
func (w *demoWorld) showPointers(ctx context.Context, b *strings.Builder, shops string) error {
	if shops == "" { // other manifests
		return nil
	}
	stored := "/v1/customers/" + shops + "/store"
	fmt.Fprintf(b, `The number is not in the answer. The shop got a pointer, and comes back with it, here for
what its own database knows:

  %s

`, w.curl(demoConsumer, stored))
	const other = "newsletter"
	if w.keys[other] == "" {
		return nil
	}
	r, err := w.ask(ctx, other, demoPath)
	if err != nil {
		return err
	}
	fmt.Fprintf(b, `The newsletter's scopes show it less of the same customer, under another pointer, and the
shop's pointer is none to it (404):

  %s

  %s
  %s

`, r.body, w.curl(other, demoPath), w.curl(other, stored))
	return nil
}

func (w *demoWorld) showPlaces(b *strings.Builder, c demoConfig) {
	kept := "They go away when the demo ends."
	if w.keep {
		kept = "They stay when the demo ends."
	}
	database := w.dir + "/databases/customers.db"
	if w.store != nil {
		database = fmt.Sprintf("%s.%s in %s at %s", store.Schema, store.Table, w.store.Database, w.store.Address)
	}
	fmt.Fprintf(b, `Other customers: C-100043 has no telephone number in Salesforce, C-100044 is unknown to
HubSpot and to the shop's database, C-100045 to Salesforce.

What to look at:

  %[1]s/manifests         what was deployed: who may ask what, and which plugin may reach and see what
  %[1]s/data/audit.jsonl  every use of a power, chained: pointsman audit verify --data %[1]s/data
  %[1]s/data/secrets.json the credentials, sealed
  %[1]s/broker.log        the broker's log
  %[2]s, the shop's database
  pointsman reach %[1]s/manifests --modules %[3]s --who-can-see salesforce.records.Email

%[4]s Ctrl-C ends it.
`, w.dir, database, c.modules, kept)
}

// curl is a line for a shell that asks as a consumer.
func (w *demoWorld) curl(consumer, path string) string {
	return fmt.Sprintf("curl --cacert %s/ca.pem -H 'Authorization: Bearer %s' %s%s", w.dir, w.keys[consumer], w.origin(), path)
}

// pointerIn is the pointer to the customer in an answer, "" if there is none.
func pointerIn(body []byte) string {
	var told struct {
		Customer string `json:"customer"`
	}
	if err := json.Unmarshal(body, &told); err != nil || !strings.HasPrefix(told.Customer, "ptr_") {
		return ""
	}
	return told.Customer
}
