/* SPDX-License-Identifier: MIT */
/* subject.h - help for subjects that the driver needs as well. */
#ifndef BENCH_SUBJECT_H
#define BENCH_SUBJECT_H

#include "bench.h"

/* A page for the words of bench_fail(), before the first fork. 0 or -errno. */
int bench_error_init(void);

/* What the last bench_fail() said, in whichever process; "" if nothing. */
const char *bench_error(void);

/* fork(2); the child is killed when its parent dies. */
pid_t bench_fork(void);

/* Delete the topics of this run, should any be left. */
int bench_sweep(const char *dir, pid_t owner);

#endif
