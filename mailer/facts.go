package mailer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// SameNotices reports whether facts that changed would have made the same of a
// campaign that was checked: see check.Same. then is what it was checked with.
type SameNotices func(c *Campaign, then, now *Snapshot) (bool, error)

// DiffFacts compares the facts of an incident or a merchant, each as JSON, and gives
// what differs by its path, in order. Entries of lists that have an id are compared
// by it, others by their place.
func DiffFacts(kind, id string, before, after []byte) ([]FactChange, error) {
	old, err := flatten(before)
	if err != nil {
		return nil, err
	}
	now, err := flatten(after)
	if err != nil {
		return nil, err
	}
	paths := map[string]bool{}
	for _, m := range []map[string]string{old, now} {
		for path := range m {
			paths[path] = true
		}
	}
	var diff []FactChange
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		if old[path] != now[path] {
			diff = append(diff, FactChange{Kind: kind, ID: id, Path: path, Old: old[path], New: now[path]})
		}
	}
	return diff, nil
}

// flatten gives every value of a JSON object its path.
func flatten(text []byte) (map[string]string, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	flat := map[string]string{}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case nil:
		case map[string]any:
			for k, e := range v {
				walk(strings.TrimPrefix(path+"."+k, "."), e)
			}
		case []any:
			for i, e := range v {
				at := fmt.Sprint(i)
				if m, ok := e.(map[string]any); ok {
					if id, ok := m["id"].(string); ok && id != "" {
						at = id
					}
				}
				walk(path+"["+at+"]", e)
			}
		default:
			flat[path] = fmt.Sprint(v)
		}
	}
	walk("", v)
	return flat, nil
}
