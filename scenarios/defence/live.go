package defence

import (
	"time"

	"hemostat/defenders"
	"hemostat/defenders/detect"
	"hemostat/defenders/fusion"
	"hemostat/defenders/inventory"
	"hemostat/defenders/queue"
)

// LivePipeline configures a pipeline that runs on the wall clock: times count from 1970, and its
// stages take as long as they take. Actuator, approver and listener are the caller's.
func (v *Variant) LivePipeline(estate *inventory.Inventory, asker fusion.Asker) (defenders.Config, error) {
	epoch := time.Unix(0, 0).UTC()
	detectors, err := v.BuildDetectors(detect.Env{Epoch: epoch, Inventory: estate})
	if err != nil {
		return defenders.Config{}, err
	}
	for i := range detectors {
		detectors[i].Service = queue.Config{} // they take the time that they take
		if d, ok := detectors[i].Detector.(detect.Explaining); ok {
			d.Explain()
		}
	}
	judge, err := v.ReplayAnalyst()
	if err != nil {
		return defenders.Config{}, err
	}
	return defenders.Config{Inventory: estate, Detectors: detectors, Analyst: judge, Profiler: v.Profiler(estate),
		Acts: v.ProfileActs(), Intel: v.FileFeeds(epoch), Asker: asker, Correlation: v.Correlation(), Actors: v.Actors(),
		Playbooks: v.Playbooks(), Policy: v.Policy(), Cascade: v.Cascade(), Restoration: v.Restoration()}, nil
}
