/* SPDX-License-Identifier: MIT */
/*
 * doctor.c - bus doctor: what makes this machine slow, or the bus impossible.
 *
 * A table of checks. Each looks at one thing and gives a mark: bad, the bus
 * does not work with it; warn, it works, with longer or less even latency; ok.
 * Nothing is changed, and nothing needs a privilege.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "args.h"
#include "cli.h"
#include "json.h"
#include "report.h"
#include "units.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

#define CPU "/sys/devices/system/cpu/"

static const struct cli_usage usage = {
	.name = "doctor",
	.words = "",
	.about =
		"Look at what decides how fast and how even the bus is on this machine: what\n"
		"was found, why it matters, and what to do about it. Changes nothing.\n",
	.options = (const struct cli_option[]){ CLI_OPTION_JSON, { 0 } },
	.examples =
		"  bus doctor\n"
		"  bus doctor --json | jq '.[] | select(.mark != \"ok\")'\n",
	.exits =
		"A warning is 0; something without which the bus does not work is 1.\n",
};

enum mark { OK, WARN, BAD };
static const char *const mark_names[] = { "ok", "warn", "bad" };

struct finding {
	enum mark mark;
	char found[256];
};

struct check {
	const char *name;
	void (*look)(struct finding *f);
	const char *why, *remedy;
};

static void __attribute__((format(printf, 3, 4)))
set(struct finding *f, enum mark mark, const char *format, ...)
{
	va_list args;

	f->mark = mark;
	va_start(args, format);
	vsnprintf(f->found, sizeof(f->found), format, args);
	va_end(args);
}

/* The first line of a file, or "" if it cannot be read. */
static struct cli_text read_line(const char *path)
{
	struct cli_text t = { "" };
	FILE *f = fopen(path, "re");

	if (!f)
		return t;
	if (!fgets(t.s, sizeof(t.s), f))
		t.s[0] = '\0';
	t.s[strcspn(t.s, "\n")] = '\0';
	fclose(f);
	return t;
}

/* A figure of /proc/meminfo: in bytes, or pages for HugePages_*. */
static uint64_t meminfo(const char *name)
{
	FILE *f = fopen("/proc/meminfo", "re");
	size_t n = strlen(name);
	char line[128];
	uint64_t v = 0;

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, name, n) || line[n] != ':')
			continue;
		v = strtoull(line + n + 1, NULL, 10);
		if (strstr(line, " kB"))
			v *= 1024;
		break;
	}
	fclose(f);
	return v;
}

/* ---- Kernel ----------------------------------------------------------- */

static void look_kernel(struct finding *f)
{
	struct utsname u;
	unsigned major = 0, minor = 0;
	bool waitv;

	uname(&u);
	sscanf(u.release, "%u.%u", &major, &minor);
	errno = 0;
	syscall(SYS_futex_waitv, NULL, 0, 0, NULL, 0);
	waitv = errno != ENOSYS && errno != EPERM;
	set(f, waitv ? OK : BAD, "Linux %s, futex_waitv %s%s", u.release,
	    waitv ? "works" : "is missing",
	    !waitv && major * 100 + minor >= 516 ? " (a seccomp filter?)" : "");
}

static void look_membarrier(struct finding *f)
{
	long commands = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);

	if (commands < 0)
		set(f, WARN, "membarrier is missing: %s", strerror(errno));
	else if (commands & MEMBARRIER_CMD_GLOBAL_EXPEDITED)
		set(f, OK, "membarrier works between processes");
	else
		set(f, WARN, "membarrier works, but not between processes");
}

static void look_clock(struct finding *f)
{
	struct cli_text t = read_line("/sys/devices/system/clocksource/"
				      "clocksource0/current_clocksource");
	bool fast = !strcmp(t.s, "tsc") || !strcmp(t.s, "kvm-clock") ||
		    !strcmp(t.s, "arch_sys_counter") ||
		    !strncmp(t.s, "hyperv", 6);

	if (!*t.s)
		set(f, WARN, "the clock source cannot be read");
	else
		set(f, fast ? OK : WARN, "the clock source is %s", t.s);
}

/* ---- Processors ------------------------------------------------------- */

static void look_cores(struct finding *f)
{
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	cpu_set_t set_of;
	int usable = (int)online;

	if (!sched_getaffinity(0, sizeof(set_of), &set_of))
		usable = CPU_COUNT(&set_of);
	set(f, usable < 2 ? WARN : OK, "%ld cores, %d of them usable here",
	    online, usable);
}

static void look_governor(struct finding *f)
{
	struct cli_text t = read_line(CPU "cpu0/cpufreq/scaling_governor");

	if (!*t.s)
		set(f, OK, "no frequency scaling to be seen");
	else
		set(f, strcmp(t.s, "performance") ? WARN : OK,
		    "the frequency governor is %s", t.s);
}

static void look_isolation(struct finding *f)
{
	struct cli_text isolated = read_line(CPU "isolated");
	struct cli_text full = read_line(CPU "nohz_full");

	if (!strcmp(full.s, "(null)"))
		full.s[0] = '\0';
	set(f, *isolated.s && *full.s ? OK : WARN,
	    "isolated cores: %s; without a clock tick: %s",
	    *isolated.s ? isolated.s : "none", *full.s ? full.s : "none");
}

static void look_virtual(struct finding *f)
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	bool virtual = false;
	char line[4096];

	while (file && !virtual && fgets(line, sizeof(line), file))
		virtual = strstr(line, " hypervisor") != NULL;
	if (file)
		fclose(file);
	set(f, virtual ? WARN : OK,
	    virtual ? "a virtual machine" : "no hypervisor to be seen");
}

/* ---- Memory ----------------------------------------------------------- */

static void look_memory(struct finding *f)
{
	uint64_t v = meminfo("MemAvailable");
	enum mark mark = v < 64 << 20 ? BAD : v < 512 << 20 ? WARN : OK;

	set(f, mark, "%s of memory are available", cli_bytes(v).s);
}

static void look_huge(struct finding *f)
{
	FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/"
			   "shmem_enabled",
			   "re");
	uint64_t pages = meminfo("HugePages_Free");
	char line[128] = "", *from, *to;

	if (file && !fgets(line, sizeof(line), file))
		line[0] = '\0';
	if (file)
		fclose(file);
	from = strchr(line, '[');
	to = from ? strchr(from, ']') : NULL;
	if (to) {
		*to = '\0';
		from++;
	} else {
		from = line;
		strcpy(line, "not there");
	}
	set(f, strcmp(from, "never") && strcmp(from, "deny") && to ? OK : WARN,
	    "huge pages for shared memory: %s; reserved ones free: %" PRIu64,
	    from, pages);
}

static void look_swap(struct finding *f)
{
	uint64_t total = meminfo("SwapTotal");

	if (total)
		set(f, WARN, "%s of swap space, %s in use", cli_bytes(total).s,
		    cli_bytes(total - meminfo("SwapFree")).s);
	else
		set(f, OK, "no swap space");
}

/* ---- Limits ----------------------------------------------------------- */

static struct cli_text limit_text(rlim_t v, bool bytes)
{
	struct cli_text t;

	if (v == RLIM_INFINITY)
		strcpy(t.s, "unlimited");
	else if (bytes)
		t = cli_bytes(v);
	else
		t = cli_count(v);
	return t;
}

static void look_memlock(struct finding *f)
{
	struct rlimit l;

	getrlimit(RLIMIT_MEMLOCK, &l);
	set(f, l.rlim_cur < 64 << 20 ? WARN : OK,
	    "a process may lock %s of memory", limit_text(l.rlim_cur, true).s);
}

static void look_nofile(struct finding *f)
{
	struct rlimit l;

	getrlimit(RLIMIT_NOFILE, &l);
	set(f,
	    l.rlim_max < 256  ? BAD :
	    l.rlim_cur < 1024 ? WARN :
				OK,
	    "open descriptors: %s, at most %s", limit_text(l.rlim_cur, false).s,
	    limit_text(l.rlim_max, false).s);
}

static const struct check checks[] = {
	{ "kernel", look_kernel,
	  "a consumer of several partitions sleeps on all of them by futex_waitv(2)",
	  "run Linux 5.16 or later; let seccomp filters pass futex_waitv" },
	{ "membarrier", look_membarrier,
	  "with it a send pays no fence to find out whether somebody sleeps",
	  "let seccomp filters and containers pass membarrier(2)" },
	{ "clock", look_clock,
	  "a clock that only the kernel can read makes each timestamp a system call",
	  "if the hardware is sound: boot with tsc=reliable clocksource=tsc" },
	{ "cores", look_cores,
	  "on one core a producer and a consumer take turns, at some 5 us each",
	  "give it two cores or more; do not use --wait spin on one" },
	{ "governor", look_governor,
	  "a core that changes its frequency answers late and unevenly",
	  "cpupower frequency-set -g performance" },
	{ "isolation", look_isolation,
	  "on shared cores other programs take slices of milliseconds: the p99.9",
	  "for the last microseconds: boot with isolcpus=N nohz_full=N, and pin" },
	{ "machine", look_virtual,
	  "the host may take a core away or move it, which no guest can prevent",
	  "pin the virtual cores on the host, or measure on bare metal" },
	{ "memory", look_memory,
	  "the memory of a topic is taken when it is created: 16 MiB a partition",
	  "free some, or create topics with a smaller ring.bytes" },
	{ "hugepages", look_huge,
	  "with pages of 4 KiB a large ring misses the address cache all the time",
	  "echo advise > /sys/kernel/mm/transparent_hugepage/shmem_enabled" },
	{ "swap", look_swap,
	  "a page of a ring that was swapped out costs milliseconds to touch",
	  "swapoff -a, or sysctl vm.swappiness=1" },
	{ "memlock", look_memlock,
	  "who locks its memory (mlockall) is never held up by a page fault",
	  "ulimit -l unlimited, or LimitMEMLOCK=infinity in the unit" },
	{ "nofile", look_nofile,
	  "busd holds some descriptors for each partition and client",
	  "ulimit -n 65536, or LimitNOFILE=65536 in the unit" },
};
#define N_CHECKS (sizeof(checks) / sizeof(checks[0]))

static void print_text(const struct check *c, const struct finding *f)
{
	printf("%-4s  %-10s  %s\n", mark_names[f->mark], c->name, f->found);
	if (f->mark == OK)
		return;
	printf("                  why: %s\n", c->why);
	printf("                  try: %s\n", c->remedy);
}

static void print_json(struct cli_json *j, const struct check *c,
		       const struct finding *f)
{
	cli_json_open(j, NULL, '{');
	cli_json_string(j, "check", c->name);
	cli_json_string(j, "mark", mark_names[f->mark]);
	cli_json_string(j, "found", f->found);
	cli_json_string(j, "why", c->why);
	cli_json_string(j, "remedy", c->remedy);
	cli_json_close(j, '}');
}

int cli_doctor(int argc, char **argv)
{
	unsigned n[3] = { 0 };
	struct cli_json j = { 0 };
	struct cli_args args;
	bool json = false;

	cli_args_parse(&args, &usage, argc, argv, &json);
	if (json)
		cli_json_open(&j, NULL, '[');
	for (size_t i = 0; i < N_CHECKS; i++) {
		struct finding f = { OK, "" };

		checks[i].look(&f);
		n[f.mark]++;
		if (json)
			print_json(&j, &checks[i], &f);
		else
			print_text(&checks[i], &f);
	}
	if (json) {
		cli_json_close(&j, ']');
		putchar('\n');
	} else {
		printf("\n%u ok, %u to think about, %u bad\n", n[OK], n[WARN],
		       n[BAD]);
	}
	return cli_finish(n[BAD] ? CLI_ERROR : CLI_OK);
}
