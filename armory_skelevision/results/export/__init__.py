"""Results and attacked videos as files that other toolkits read: those of OTB, GOT-10k, LaSOT and VOT, and PySOT's."""
