/* SPDX-License-Identifier: MIT */
/* clock.c - how long a tick of the processor's counter is. */
#include "clock.h"

#define CALIBRATE_NS 20000000

double bench_tick_ns(void)
{
	static double tick_ns;

	if (tick_ns > 0)
		return tick_ns;

	uint64_t ns = bench_ns(), ticks = bench_ticks(), now;

	while ((now = bench_ns()) - ns < CALIBRATE_NS)
		;
	tick_ns = (double)(now - ns) / (double)(bench_ticks() - ticks);
	return tick_ns;
}
