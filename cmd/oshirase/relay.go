package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"oshirase/config"
	"oshirase/mailer"
	"oshirase/mailer/campaign"
)

func newRelayCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "relay",
		Short: "Try the relays without sending anything",
		Long: `relay has what is to be tried before anything is sent: whether the relays take
connections, the account, and the senders of the merchants.`,
		Example: "  oshirase relay check",
		Args:    cobra.ArbitraryArgs,
		RunE:    needsCommand,
	}
	c.AddCommand(newRelayCheckCommand(a))
	return c
}

func newRelayCheckCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "check [NAME]",
		Short: "Connect, log in, and ask for the sender of each merchant",
		Long: `check connects to every relay in the config that has a weight, or to the one that is
named: TCP, EHLO, TLS, AUTH, then MAIL FROM with the envelope sender of each merchant
(bounce_domain, else the domain of from), and takes it back. Nobody is named as a
recipient and no message is sent. What a relay says of recipients is not seen by it.

Exit code 3 means that a relay refused something. run and serve ask for the sender in the
same way before the first message of a campaign.`,
		Example: "  oshirase relay check\n  oshirase relay check main --json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := a.config()
			if err != nil {
				return err
			}
			name := ""
			if len(args) > 0 {
				name = args[0]
			}
			relays, err := a.relaysToCheck(cfg, name)
			if err != nil {
				return err
			}
			_, merchants, err := config.LoadFacts(cfg.IncidentsPath(), cfg.MerchantsPath())
			if err != nil {
				return err
			}
			got, err := campaign.CheckRelays(cmd.Context(), a.actor(), relays, merchants)
			if err != nil {
				return err
			}
			if err := a.printRelayChecks(got); err != nil {
				return err
			}
			failed := 0
			for _, r := range got {
				for _, s := range r.Steps {
					if !s.OK {
						failed++
					}
				}
			}
			if failed > 0 {
				return checkError{errors: failed, hint: "look at what the relay says, and at [[relay]] and the merchants' addresses"}
			}
			return nil
		},
	}
}

// relaysToCheck are the relays that are used, or the one of a name, used or not.
func (a *app) relaysToCheck(cfg *config.Config, name string) (list []campaign.Relay, err error) {
	for _, r := range cfg.Relays {
		if name == "" && r.Weight == 0 || name != "" && r.Name != name {
			continue
		}
		d, err := dialer(cfg, r)
		if err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	switch {
	case len(list) == 0 && name != "":
		return nil, withHint(fmt.Errorf("no [[relay]] named %q in %s", name, a.configPath()), "see `oshirase config check`")
	case len(list) == 0:
		return nil, withHint(fmt.Errorf("no [[relay]] with a weight in %s", a.configPath()), "see `oshirase config example`")
	}
	return list, nil
}

func (a *app) printRelayChecks(list []mailer.RelayCheck) error {
	if a.json {
		return a.printJSON(map[string]any{"relays": list})
	}
	t := newTable("中継サーバ", "項目", "結果", "応答")
	for _, r := range list {
		for _, s := range r.Steps {
			result := "可"
			if !s.OK {
				result = "不可"
			}
			reply := s.Reply
			if s.Sender != "" {
				reply = s.Sender + " " + reply
			}
			t.add(r.Name, s.Step.Japanese(), result, reply)
		}
	}
	a.printTable(t)
	return nil
}
