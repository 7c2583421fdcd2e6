/* SPDX-License-Identifier: MIT */
/*
 * instance.c - a busd of our own, in a directory that goes with it.
 *
 * busd gets a process group of its own, so that Ctrl-C on the terminal reaches
 * only us, who then end it; and SIGTERM from the kernel should we be killed.
 */
#include "instance.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define READY_MS 10000
#define STOP_NS UINT64_C(10000000000)

static void find_busd(char path[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 8);
	char *slash;

	path[n > 0 ? n : 0] = '\0';
	slash = strrchr(path, '/');
	if (slash) {
		strcpy(slash + 1, "busd");
		if (!access(path, X_OK))
			return;
	}
	strcpy(path, "busd"); /* execvp looks into PATH */
}

static void become_busd(const char *dir, int ready_fd, const sigset_t *mask)
{
	char path[PATH_MAX], number[16];

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	sigprocmask(SIG_SETMASK, mask, NULL);
	snprintf(number, sizeof(number), "%d", ready_fd);
	find_busd(path);
	execlp(path, "busd", "--dir", dir, "--ready-fd", number, (char *)NULL);
	dprintf(ready_fd, "cannot run %s: %s\n", path, strerror(errno));
	_exit(1);
}

/* One line: "ready", or why not. */
static int await_ready(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	char line[BENCH_TEXT];
	ssize_t n = 0;

	if (poll(&poll_fd, 1, READY_MS) == 1)
		n = read(fd, line, sizeof(line) - 1);
	if (n <= 0)
		return bench_fail(-ECANCELED, "busd does not become ready");
	line[n] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return strcmp(line, "ready") ? bench_fail(-ECANCELED, "%s", line) : 0;
}

int bench_instance_start(struct bench_instance *ret, const sigset_t *mask)
{
	int fds[2], r;

	*ret = (struct bench_instance){ .dir = "/tmp/bus-bench.XXXXXX" };
	if (!mkdtemp(ret->dir)) {
		ret->dir[0] = '\0';
		return bench_fail_errno("no directory below /tmp");
	}
	if (pipe(fds))
		return bench_fail_errno("no pipe");
	ret->pid = fork();
	if (!ret->pid) {
		close(fds[0]);
		become_busd(ret->dir, fds[1], mask);
	}
	close(fds[1]);
	r = ret->pid < 0 ? bench_fail_errno("cannot fork") :
			   await_ready(fds[0]);
	close(fds[0]);
	return r;
}

static void remove_dir(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir)))
		unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
	rmdir(path);
}

static int await_end(pid_t pid)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	uint64_t until = bench_ns() + STOP_NS;

	while (waitpid(pid, NULL, WNOHANG) == 0) {
		if (bench_ns() > until)
			return bench_fail(-ECANCELED,
					  "busd (pid %d) does not end",
					  (int)pid);
		nanosleep(&pause, NULL);
	}
	return 0;
}

int bench_instance_stop(struct bench_instance *instance)
{
	int r = 0;

	if (instance->pid > 0) {
		kill(instance->pid, SIGTERM);
		r = await_end(instance->pid);
	}
	if (instance->dir[0] && !r)
		remove_dir(instance->dir);
	return r;
}
