package main

import (
	"math"
	"time"
)

// modelFigures makes figures of what was seen: against Portkey's gateway, and absolutely.
func modelFigures(all []shape, seen []trial) []figure {
	var figures []figure
	for _, sh := range all {
		name := "model, " + sh.name + ": "
		cpu := figure{Name: name + "CPU", Against: "Portkey's gateway", Unit: "x", Bound: 0.5, RawUnits: "ms of CPU a request"}
		p50 := figure{Name: name + "P50 added", Against: "Portkey's gateway", Unit: "x", Bound: 0.5, RawUnits: "ms"}
		p90 := figure{Name: name + "P90 added", Against: "Portkey's gateway", Unit: "x", Bound: 0.5, RawUnits: "ms"}
		spends := figure{Name: name + "CPU a question", Against: "a budget", Unit: "ms", Bound: 1.5}
		adds := figure{Name: name + "added", Against: "P50 of a direct call", Unit: "ms", Bound: 2.5}
		for _, t := range seen {
			if t.shape != sh.name {
				continue
			}
			ours := t.perRequest("ours")
			cpu.keep("ours in Go", t.part(t.cpu["ours"].goCPU))
			cpu.keep("ours in workerd", t.part(t.cpu["ours"].workerd))
			cpu.keep("a Worker that only asks", t.perRequest("bare"))
			cpu.keep("workerd alone that only asks", t.perRequest("alone"))
			cpu.keep("portkey", t.perRequest("portkey"))
			cpu.Rounds = append(cpu.Rounds, ours/t.perRequest("portkey"))
			spends.Rounds = append(spends.Rounds, ours)
			for f, q := range map[*figure]float64{&p50: 0.5, &p90: 0.9} {
				for _, way := range []string{"direct", "portkey", "alone", "bare", "ours"} {
					f.keep(way, ms(quantile(t.latencies[way], q)))
				}
				f.Rounds = append(f.Rounds, t.added("ours", q)/t.added("portkey", q))
			}
			adds.Rounds = append(adds.Rounds, t.added("ours", 0.5))
		}
		figures = append(figures, cpu, p50, p90, spends, adds)
	}
	return figures
}

func (t trial) perRequest(way string) float64 {
	return t.part(t.cpu[way].goCPU + t.cpu[way].workerd)
}

func (t trial) part(d time.Duration) float64 { return ms(d) / float64(t.requests) }

// added is what a way adds to a direct call, in milliseconds. Nobody adds nothing: less than a hundredth is within what a clock says.
func (t trial) added(way string, q float64) float64 {
	return math.Max(0.01, ms(quantile(t.latencies[way], q)-quantile(t.latencies["direct"], q)))
}

func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}
