package config

import _ "embed"

// example is made from the comments of Config and the defaults by the tests of
// this package (go test ./config -run Example -update), which also prove that
// it is up to date.
//
//go:embed example.toml
var example []byte

// Example is a config file with every key, what it means, and its default.
func Example() []byte { return append([]byte(nil), example...) }
