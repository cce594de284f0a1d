// Package japanese knows what Japanese text is made of: the characters of ISO-2022-JP,
// how wide they are and where a line of them may break, how days and phone numbers
// are written, and which digits look like a card number.
//
// All of it is pure functions on text. The package imports nothing of the house and
// does no I/O; whoever needs such knowledge takes it from here, and keeps no copy.
package japanese
