package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"oshirase/config"
	"oshirase/mailer"
	"oshirase/mailer/sink"
)

func newSinkCommand(a *app) *cobra.Command {
	var (
		o                  sink.Options
		listen, ca, auth   string // auth: a file
		faults             []string
		startTLS, implicit bool
		demoFaults         bool
	)
	c := &cobra.Command{
		Use:   "sink",
		Short: "Receive mail for a trial, with faults on request",
		Long: `sink is an SMTP receiver to try things out with. It takes every message, and keeps
it as an .eml file where --dir is given. It passes nothing on: nobody gets mail from
it. With --auth-file, or USER:PASSWORD in OSHIRASE_SINK_AUTH, it asks for AUTH: what
stands in a command line, every user of the machine can read. One line is printed per
message, with the address masked; SIGINT or SIGTERM ends it with a summary. With --json
the lines go to standard error.

` + sink.Syntax,
		Example: `  oshirase sink --dir mail
  oshirase sink --fault 'rcpt=refused*@*:550 5.1.1 User unknown' --fault 'dot,p=0.01:take-drop'
  oshirase sink --starttls --write-ca ca.pem --auth-file auth.txt --latency 20ms`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if demoFaults {
				faults = append(faults, sink.DemoRules...)
			}
			if o.Rules, err = sink.ParseRules(faults); err != nil {
				return usageError{err: err, command: cmd.CommandPath()}
			}
			for name, n := range map[string]int64{
				"max-size": o.MaxSize, "max-messages": int64(o.MaxMessages), "max-connections": int64(o.MaxConns), "latency": int64(o.Latency),
			} {
				if n < 0 {
					return usagef("--%s is negative: 0 is none", name)
				}
			}
			if o.User, o.Password, err = sinkAuth(auth); err != nil {
				return err
			}
			switch {
			case startTLS:
				o.TLS = sink.StartTLS
			case implicit:
				o.TLS = sink.Implicit
			case ca != "":
				return usagef("--write-ca needs --starttls or --implicit-tls")
			}
			if o.Dir != "" {
				if err := os.MkdirAll(o.Dir, 0o700); err != nil {
					return fmt.Errorf("make message directory: %w", err)
				}
			}
			lines := a.out()
			if a.json {
				lines = a.err()
			}
			if !a.quiet {
				o.OnMessage = sinkLines(lines, a.now)
			}
			srv, err := sink.Listen(listen, o)
			if err != nil {
				return fmt.Errorf("sink: %w", err)
			}
			if ca != "" {
				if err := srv.WriteCA(ca); err != nil {
					return fmt.Errorf("write CA: %w", srvClosed(srv, err))
				}
			}
			fmt.Fprintf(a.stderr, "listening on %s\n", srv.Addr())
			<-cmd.Context().Done()
			if err := srv.Close(); err != nil {
				return fmt.Errorf("sink: %w", err)
			}
			return a.sinkSummary(srv)
		},
	}
	f := c.Flags()
	f.StringVar(&listen, "listen", sinkAddress, "`ADDRESS` to listen on; port 0 takes a free one")
	f.StringVar(&o.Dir, "dir", "", "keep each message as an .eml file in `DIR`")
	f.StringArrayVar(&faults, "fault", nil, "a fault `RULE`, see above; may be repeated")
	f.BoolVar(&demoFaults, "demo-faults", false, "recipients named refused*, busy* and cut* are refused, deferred once, and cut after the dot")
	f.Uint64Var(&o.Seed, "seed", 0, "`NUMBER` that decides rules with p=")
	f.BoolVar(&startTLS, "starttls", false, "offer STARTTLS, with a certificate of its own")
	f.BoolVar(&implicit, "implicit-tls", false, "speak TLS from the first byte")
	f.StringVar(&ca, "write-ca", "", "write the certificate to trust to `FILE`")
	f.StringArrayVar(&o.Names, "tls-name", nil, "further host `NAME` of the certificate")
	f.StringVar(&auth, "auth-file", "", "require AUTH as the first line of `FILE` says: USER:PASSWORD (default: OSHIRASE_SINK_AUTH, else no AUTH)")
	f.StringArrayVar(&o.Without, "without", nil, "do not offer an `EXTENSION` (PIPELINING, CHUNKING, ...)")
	f.Int64Var(&o.MaxSize, "max-size", 0, "largest message in `OCTETS` (default 32 MiB)")
	f.IntVar(&o.MaxMessages, "max-messages", 0, "421 after this `NUMBER` of messages in a connection")
	f.IntVar(&o.MaxConns, "max-connections", 0, "421 beyond this `NUMBER` of connections at once (default 1000)")
	f.DurationVar(&o.Latency, "latency", 0, "imitate a round trip of this `TIME`")
	c.MarkFlagsMutuallyExclusive("starttls", "implicit-tls")
	return c
}

// sinkAuth is the user and password that the receiver asks for, from a file or else the
// environment; both are empty where there is none.
func sinkAuth(file string) (user, password string, err error) {
	auth, source := os.Getenv("OSHIRASE_SINK_AUTH"), "OSHIRASE_SINK_AUTH"
	if file != "" {
		source = "--auth-file " + file
		if auth, err = config.SecretLine(file); err != nil {
			return "", "", fmt.Errorf("%s: %w", source, err)
		}
	}
	if auth == "" {
		return "", "", nil
	}
	user, password, ok := strings.Cut(auth, ":")
	if !ok || user == "" {
		return "", "", usagef("%s: write USER:PASSWORD", source)
	}
	return user, password, nil
}

func srvClosed(srv *sink.Server, err error) error {
	_ = srv.Close() // err says what went wrong
	return err
}

// sinkLines prints one line per message, without personal data.
func sinkLines(w io.Writer, now func() time.Time) func(sink.Received) {
	var mu sync.Mutex
	return func(m sink.Received) {
		masked := make([]string, len(m.Recipients))
		for i, r := range m.Recipients {
			masked[i] = maskMailbox(r)
		}
		notes := ""
		if m.TLS {
			notes += " tls"
		}
		if m.Auth {
			notes += " auth"
		}
		if !m.Told {
			notes += " taken, then cut"
		}
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(w, "%s #%d to %s, %s bytes%s\n", now().In(mailer.JST).Format("15:04:05"), m.Seq, strings.Join(masked, " "), number(int64(len(m.Data))), notes)
	}
}

// maskMailbox masks an address in the form in which a client wrote it.
func maskMailbox(s string) string {
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return "***"
	}
	return mailer.Address{Local: strings.Trim(s[:at], `"`), Domain: s[at+1:]}.Mask()
}

func (a *app) sinkSummary(srv *sink.Server) error {
	counts := srv.Counts()
	if a.json {
		return a.printJSON(counts)
	}
	t := newTable("受信結果", "件数").alignRight(1)
	t.add("接続", number(counts.Connections))
	t.add("受信", number(counts.Messages))
	t.add("うち応答前に切断", number(counts.Untold))
	t.add("恒久的な拒否", number(counts.Refused))
	t.add("一時的な拒否", number(counts.Deferred))
	t.add("切断", number(counts.Dropped))
	t.add("バイト数", number(counts.Octets))
	a.printTable(t)
	return nil
}
