// Package campaign holds the use cases: what people do to campaigns, from the
// first draft to the last decision. Each takes the Actor behind it, also where
// nothing is recorded: what somebody may see may come to depend on who asks.
//
//	Preparation  create, set, check: before an approval
//	Previewer    preview, test: single notices
//	Approvals    sheet, approve: what is signed, and by whom
//	Persons      who may act, and what it takes to approve
//	Steering     start, pause, resume, cancel, resolve
//	Register     list, show, status, deliveries, look-up, audit: reading
//	Facts        apply incidents and merchants, destroy an incident's key
//	Auditing     whether the ledger is as it was written
//	Keeping      master key, copies, checkpoints, taking an older ledger for the right one
//
// It knows the ledger only through the interfaces of ports.go, and knows no SQL,
// no flags and no words; cmd and web call it and decide nothing.
package campaign
