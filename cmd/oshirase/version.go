package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// versionResult is the JSON of `version`.
type versionResult struct {
	Version  string `json:"version"`  // of the module; (devel) for a build from a working tree
	Revision string `json:"revision"` // of the source; empty where it is not known
	Modified bool   `json:"modified"` // the source differs from the revision
	Go       string `json:"go"`
}

func newVersionCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Say which version this is",
		Long: `version prints the version of oshirase, the revision of the source that it was
built from, and the version of Go.`,
		Example: "  oshirase version --json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := version()
			if a.json {
				return a.printJSON(v)
			}
			rev := v.Revision
			if rev == "" {
				rev = "unknown revision"
			}
			if v.Modified {
				rev += ", modified"
			}
			a.printf("oshirase %s (%s, %s)\n", v.Version, rev, v.Go)
			return nil
		},
	}
}

func version() versionResult {
	v := versionResult{Version: "(devel)", Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}
