/* supervise.c: programs run in children, which may crash: the program and what became of it lie in memory that
 * both share. The parent never computes anything, so that it can fork as often as it likes. See fuzz.h. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS, fork */
#include "tests/fuzz/fuzz.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/compositions.h"

/* A program that takes longer hangs. A trial in shrinking gets less: it is smaller. */
enum { MOST_SECONDS = 120, TRIAL_SECONDS = 20 };

fuzz_shared *fuzz_shared_new(void)
{
    void *p =
        mmap(NULL, sizeof(fuzz_shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

double fuzz_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Waits; a child that did not end by itself has crashed. */
static void wait_for(pid_t child, fuzz_shared *shared)
{
    int status = 0;
    fuzz_failure *f = &shared->failure;
    if (child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
        WEXITSTATUS(status) == 0)
        return;
    int at = shared->at < shared->program.count ? shared->at : -1;
    *f = (fuzz_failure){.kind = FUZZ_CRASH, .step = at};
    f->op = at < 0 ? NULL : shared->program.step[at].op;
    if (child < 0)
        snprintf(f->text, sizeof f->text, "fork failed");
    else if (WIFSIGNALED(status))
        snprintf(f->text, sizeof f->text, "signal %d, %s", WTERMSIG(status),
                 at < 0 ? "after the last step" : "in this step");
    else
        snprintf(f->text, sizeof f->text, "exit code %d", WEXITSTATUS(status));
}

static pid_t start(bool quiet)
{
    fflush(NULL);
    pid_t child = fork();
    if (child != 0)
        return child;
    if (quiet && freopen("/dev/null", "w", stderr) == NULL)
        _exit(2);
    alarm(quiet ? TRIAL_SECONDS : MOST_SECONDS);
    return 0;
}

void fuzz_run_child(fuzz_shared *shared, bool quiet)
{
    shared->failure = (fuzz_failure){0};
    pid_t child = start(quiet);
    if (child == 0) {
        fuzz_run(shared);
        _exit(0);
    }
    wait_for(child, shared);
}

/* Runs seeds in one child until the first failure. */
static void run_batch(fuzz_shared *shared, uint64_t first, int64_t count, double until,
                      const fuzz_ops *ops)
{
    shared->done = 0;
    shared->failure = (fuzz_failure){0};
    pid_t child = start(false);
    if (child == 0) {
        while (shared->done < count && (until == 0 || fuzz_now() < until)) {
            alarm(MOST_SECONDS);
            fuzz_run_seed(shared, first + (uint64_t)shared->done, ops);
            if (shared->failure.kind != FUZZ_NONE)
                break;
            shared->done++;
        }
        _exit(0);
    }
    wait_for(child, shared);
}

static void report(FILE *out, const fuzz_shared *s, uint64_t seed, int tries)
{
    const fuzz_failure *f = &s->failure;
    fprintf(out, "seed %llu: %s%s%s: %s\n", (unsigned long long)seed,
            f->op != NULL ? f->op->name : "", f->op != NULL ? ": " : "", fuzz_kind_text(f->kind),
            f->text);
    fprintf(out, "shrunk to %d operations in %d runs:\n\n", fuzz_size(&s->program), tries);
    fuzz_print(out, s);
    fflush(out);
}

void fuzz_report(FILE *out, const fuzz_counts *c)
{
    fprintf(out, "recorded/refused:");
    for (int k = 0; k < tested_count(); k++)
        fprintf(out, " %s %lld/%lld", tested(k)->name, (long long)c->recorded[k],
                (long long)c->refused[k]);
    fprintf(out, "\n%lld steps; %lld values compared, %lld left open (overflow)\n",
            (long long)c->steps, (long long)c->values, (long long)c->undecided);
    fprintf(out,
            "%lld rules checked (%lld fused) but for %lld at a kink and %lld whose values are not "
            "finite, huge or ill-conditioned; %lld programs replayed after a refusal\n",
            (long long)c->rules, (long long)c->fused, (long long)c->rule_kinks,
            (long long)c->rule_skipped, (long long)c->replays);
    fprintf(out,
            "%lld programs checked by one difference quotient, %lld not fit for it, %lld without a "
            "gradient; %lld second order, %lld on two threads\n",
            (long long)c->gradients, (long long)c->gradient_skipped, (long long)c->no_gradient,
            (long long)c->graphs, (long long)c->threads);
}

int fuzz_campaign(FILE *out, uint64_t first, int64_t count, double until, int most_failures,
                  const fuzz_ops *ops, fuzz_counts *counts, fuzz_shared *last)
{
    fuzz_shared *shared = fuzz_shared_new();
    int failures = 0;
    int64_t done = 0;
    if (shared == NULL)
        return 1;
    while (done < count && failures < most_failures && (until == 0 || fuzz_now() < until)) {
        run_batch(shared, first + (uint64_t)done, count - done, until, ops);
        done += shared->done;
        if (shared->failure.kind == FUZZ_NONE)
            continue;
        failures++;
        fuzz_counts kept = shared->counts;
        int tries = fuzz_shrink(shared);
        shared->counts = kept;
        report(out, shared, first + (uint64_t)done, tries);
        if (last != NULL)
            *last = *shared;
        done++;
    }
    *counts = shared->counts;
    munmap(shared, sizeof *shared);
    return failures;
}
