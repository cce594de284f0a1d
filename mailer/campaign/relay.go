package campaign

import (
	"context"
	"slices"

	"oshirase/mailer"
	"oshirase/mailer/envelope"
)

// Relay can be tried without a message.
type Relay interface {
	// Check connects, and asks the relay whether it takes these envelope senders.
	Check(ctx context.Context, senders []string) mailer.RelayCheck
}

// checkToken stands where an envelope sender has a delivery's token, and is as long:
// relays may have rules for what a sender looks like.
const checkToken = "checkcheckcheckcheckcheckc"

// CheckRelays tries each relay with the envelope sender of each merchant, those that
// are alike once.
func CheckRelays(ctx context.Context, _ mailer.Actor, relays []Relay, merchants []mailer.Merchant) ([]mailer.RelayCheck, error) {
	var senders []string
	for i := range merchants {
		env, err := envelope.New(&merchants[i])
		if err != nil {
			return nil, err
		}
		if s := env.Sender(checkToken); !slices.Contains(senders, s) {
			senders = append(senders, s)
		}
	}
	list := make([]mailer.RelayCheck, len(relays))
	for i, r := range relays {
		list[i] = r.Check(ctx, senders)
	}
	return list, nil
}
