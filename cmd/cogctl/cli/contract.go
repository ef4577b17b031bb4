package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

func newContract(d *Deps) *cobra.Command {
	return newGroup("contract", "Read what the platform declares",
		"  cogctl contract show\n  cogctl contract explain /auth/guest\n  cogctl contract export auth-svc",
		newContractShow(d), newContractExplain(d), newContractExport(d))
}

// subjects are the parts of the contract, in the order they are best read.
var subjects = []string{"workers", "paths", "stores", "keys", "auth", "cors", "slo", "models", "limits", "prices", "envs", "gates"}

func newContractShow(d *Deps) *cobra.Command {
	return &cobra.Command{
		Use: "show [subject]", Short: "Show the contract, or one subject of it",
		Long:    "Show the contract, or one subject of it: " + strings.Join(subjects, ", ") + ".",
		Example: "  cogctl contract show paths\n  cogctl contract show --output json",
		Args:    cobra.MaximumNArgs(1), ValidArgs: subjects,
		RunE: func(_ *cobra.Command, args []string) error {
			c, err := d.Contract()
			if err != nil {
				return err
			}
			report, err := contractReport(c, args)
			if err != nil {
				return err
			}
			return d.Term.Print(report)
		},
	}
}

// contractDocument is the contract as data, with the digest that proofs carry.
type contractDocument struct {
	Digest  string                        `json:"sha256"`
	Workers map[string]contract.Worker    `json:"workers,omitempty"`
	HTTP    *contract.HTTP                `json:"http,omitempty"`
	Stores  map[string]contract.Store     `json:"stores,omitempty"`
	Keys    map[string]contract.KeyFormat `json:"keys,omitempty"`
	Auth    *contract.Auth                `json:"auth,omitempty"`
	SLO     map[string]contract.Objective `json:"slo,omitempty"`
	Uptime  map[string]contract.Uptime    `json:"uptime,omitempty"`
	Flow    map[string]contract.Flow      `json:"flow,omitempty"`

	Pressure *contract.Pressure     `json:"pressure,omitempty"`
	Models   *contract.Models       `json:"models,omitempty"`
	Limits   *contract.CallerLimits `json:"limits,omitempty"`
	Prices   *contract.Prices       `json:"prices,omitempty"`

	Envs  map[string]contract.Env `json:"envs,omitempty"`
	Gates *contract.Gates         `json:"gates,omitempty"`
}

func contractReport(c *contract.Contract, args []string) (term.Report, error) {
	whole := contractDocument{c.Digest(), c.Workers, &c.HTTP, c.Stores, c.Keys, &c.Auth, c.SLO, c.Uptime, c.Flow, &c.Pressure, &c.Models, &c.Limits, &c.Prices, c.Envs, &c.Gates}
	r := term.Report{Schema: "cogctl/contract/v1", Data: whole}
	if len(args) == 0 {
		for _, s := range subjects {
			r.Blocks = append(r.Blocks, term.Line{term.Text{Text: s, Tone: term.Strong}}, subjectBlock(c, s))
		}
		return r, nil
	}
	block := subjectBlock(c, args[0])
	if block == nil {
		return r, fault.New(fault.Invalid, "the contract has no subject %q", args[0]).WithHint("one of: %s", strings.Join(subjects, ", "))
	}
	r.Data, r.Blocks = onlySubject(whole, args[0]), []term.Block{block}
	return r, nil
}

func onlySubject(c contractDocument, subject string) contractDocument {
	one := contractDocument{Digest: c.Digest}
	switch subject {
	case "workers":
		one.Workers = c.Workers
	case "paths", "cors":
		one.HTTP = c.HTTP
	case "stores":
		one.Stores = c.Stores
	case "keys":
		one.Keys = c.Keys
	case "auth":
		one.Auth = c.Auth
	case "slo":
		one.SLO, one.Uptime, one.Flow, one.Pressure = c.SLO, c.Uptime, c.Flow, c.Pressure
	case "models":
		one.Models = c.Models
	case "limits":
		one.Limits = c.Limits
	case "prices":
		one.Prices = c.Prices
	case "envs":
		one.Envs = c.Envs
	case "gates":
		one.Gates = c.Gates
	}
	return one
}
