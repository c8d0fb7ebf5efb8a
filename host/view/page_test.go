package view_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pointsman/host/view"
)

func ExampleView_Append() {
	v, err := view.Parse([]string{"id", "address.city", "orders[].total"})
	if err != nil {
		fmt.Println(err)
		return
	}
	text := `{"id": 7, "email": "greta@example.com", "address": {"city": "Malmö", "zip": "112 34"}, "orders": [{"total": 39.90, "state": "lost"}, {}]}`
	shown, dropped, err := v.Append(nil, []byte(text))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(shown))
	fmt.Println(dropped.Count, dropped.Names())
	// Output:
	// {"id":7,"address":{"city":"Malmö"},"orders":[{"total":39.90},{}]}
	// 3 [email address.zip orders[].state]
}

// TestViewsPage does what docs/VIEWS.md shows.
func TestViewsPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/VIEWS.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```(yaml|json|text)\n(.*?)\n```").FindAllSubmatch(page, -1)
	if len(blocks) != 4 {
		t.Fatalf("%d blocks, want a view, a document, what is left and what was left out", len(blocks))
	}
	var paths []string
	list := bytes.TrimPrefix(blocks[0][2], []byte("view: "))
	list = regexp.MustCompile(`([[ ])([a-z][a-z.]*)`).ReplaceAll(list, []byte(`$1"$2"`)) // words in YAML need no quotes
	if err := json.Unmarshal(list, &paths); err != nil {
		t.Fatalf("%s: %v", list, err)
	}
	shown, dropped, err := parse(t, paths...).Append(nil, blocks[1][2])
	if err != nil || !bytes.Equal(shown, blocks[2][2]) {
		t.Errorf("got %s, %v, want %s", shown, err, blocks[2][2])
	}
	if want := strings.Split(string(blocks[3][2]), "\n"); !slices.Equal(dropped.Names(), want) {
		t.Errorf("left out %q, want %q", dropped.Names(), want)
	}
}
