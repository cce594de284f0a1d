// Package smtp makes messages and hands them to relays: composing (RFC 5322,
// MIME, DKIM), a pool of connections, pipelined sending, and the outcome of
// each attempt.
//
// It says what a relay answered and never guesses: where a message may or may
// not have been taken, the outcome is Unknown. It decides nothing about retries,
// paces or windows, and it knows neither the ledger nor the notices' templates.
package smtp
