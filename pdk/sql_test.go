package pdk_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"pointsman/pdk"
	"pointsman/pdk/wire"
)

// database answers every query with reply and remembers what it was sent.
type database struct {
	reply []byte
	sent  string
}

func (d *database) Call(capability, op string, request []byte) []byte {
	d.sent = capability + "." + op + " " + string(request)
	return d.reply
}

func TestQueryRefusals(t *testing.T) {
	for name, tt := range map[string]struct {
		reply []byte
		want  pdk.Code
	}{
		"denied":         {wire.Failed(wire.Error{Code: wire.Denied, Message: "no"}), pdk.Denied},
		"late":           {wire.Failed(wire.Error{Code: wire.Transient, Message: "no"}), pdk.Transient},
		"nothing":        {nil, pdk.Permanent},
		"no JSON":        {wire.Done([]byte("x")), pdk.Permanent},
		"no rows":        {wire.Done([]byte(`{"rows":{}}`)), pdk.Permanent},
		"no such code":   {[]byte("\x01{\"code\":\"x\"}"), pdk.Permanent},
		"an empty reply": {wire.Done(nil), pdk.Permanent},
	} {
		rows, err := pdk.NewHost(&database{reply: tt.reply}).Query(pdk.Statement{Backend: "store", Name: "s"})
		if pdk.CodeOf(err) != tt.want || rows != nil {
			t.Errorf("%s: %v, %v, want %s", name, rows, err, tt.want)
		}
	}
	if _, err := pdk.NewHost(&database{}).Query(pdk.Statement{Args: map[string]any{"a": func() {}}}); pdk.CodeOf(err) != pdk.Permanent {
		t.Errorf("an argument that is no value: %v", err)
	}
}

func TestQuery(t *testing.T) {
	d := &database{reply: wire.Done([]byte(`{"rows":[{"id":9007199254740993,"name":"A"},{"id":"x"}],"count":2,"truncated":true,"affected":3}`))}
	rows, err := pdk.NewHost(d).Query(pdk.Statement{
		Backend: "store", Name: "s", Choices: map[string]string{"order": "up"},
		Args: map[string]any{"at": time.Date(2025, 1, 2, 3, 4, 5, 6000, time.UTC), "n": json.Number("0.10"), "none": nil, "raw": []byte{0, 255}, "t": "x"},
	})
	if err != nil {
		t.Fatal(err)
	}
	const want = `sql.query {"backend":"store","statement":"s","args":{"at":"2025-01-02T03:04:05.000006Z","n":0.10,"none":null,"raw":"AP8=","t":"x"},"choices":{"order":"up"}}`
	if d.sent != want {
		t.Errorf("sent %s\nwant %s", d.sent, want)
	}
	if rows.Len() != 2 || rows.Count != 2 || !rows.Truncated || rows.Affected != 3 {
		t.Errorf("%+v", rows)
	}
	var row struct{ ID int64 }
	if err := rows.Row(0, &row); err != nil || row.ID != 9007199254740993 {
		t.Errorf("row 0: %+v, %v", row, err)
	}
	if err := rows.Row(1, &row); pdk.CodeOf(err) != pdk.Permanent || !strings.Contains(err.Error(), "ID") && !strings.Contains(err.Error(), "id") {
		t.Errorf("row 1: %v", err)
	}
	if err := rows.Row(2, &row); pdk.CodeOf(err) != pdk.NotFound {
		t.Errorf("row 2: %v", err)
	}
	if _, err := pdk.DecodeRows[struct{ ID int64 }](rows); pdk.CodeOf(err) != pdk.Permanent {
		t.Errorf("rows: %v", err)
	}
	if all, err := pdk.DecodeRows[struct{ ID json.RawMessage }](rows); err != nil || len(all) != 2 {
		t.Errorf("rows: %v, %v", all, err)
	}
}
