/* main.c: the command-line tool: trains latent-variable models and looks at them.
 *
 * Results go to stdout, everything else to stderr. Exit code 0: fine; 1: the data or the system is in the
 * way; 2: the call makes no sense; 128 + n: stopped by signal n, a training with all saved. The
 * locale is never set, so numbers have points everywhere. Read next: options.c (what can be asked for), train.c. */
#define _XOPEN_SOURCE 700 /* POSIX 2008 with SIGXFSZ */
#include "commands.h"
#include "say.h"
#include "tensor/parallel.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
    command id;
    const char *name, *summary;
    int (*run)(const options *o);
} commands[] = {
    {TRAIN, "train", "trains a model and writes it, its curves and its pictures to a folder",
     command_train},
    {EVAL, "eval", "measures a trained model and prints one JSON object", command_eval},
    {AIS, "ais", "brackets log p(x) by annealed importance sampling, without the encoder",
     command_ais},
    {SAMPLE, "sample", "draws pictures from the model", command_sample},
    {RECONSTRUCT, "reconstruct", "draws test images above their reconstructions",
     command_reconstruct},
    {MANIFOLD, "manifold", "draws a 2-D latent space as a map", command_manifold},
    {TRAVERSE, "traverse", "draws what each latent dimension changes", command_traverse},
    {INTERPOLATE, "interpolate", "draws what lies between pairs of images", command_interpolate},
    {SCATTER, "scatter", "draws the codes of images as points, by label", command_scatter},
    {CURVES, "curves", "draws the learning curves of one run or several", command_curves},
    {REPORT, "report", "writes a page about a run: settings, curves, numbers, pictures",
     command_report},
    {EXPLAIN, "explain", "derives the gradients of one training step, every number checked",
     command_explain},
    {MODELS, "models", "lists the models that can be trained, and their options", command_models},
    {INFO, "info", "says what this program and a trained model are", command_info},
};

enum { COMMANDS = sizeof commands / sizeof *commands };

static void print_help(FILE *to, const char *program)
{
    fprintf(to, "usage: %s command [flags]\n\nTrains latent-variable models and looks at them.\n\n",
            program);
    for (int i = 0; i < COMMANDS; i++)
        fprintf(to, "  %-14s%s\n", commands[i].name, commands[i].summary);
    fprintf(to, "\n'%s command --help' lists the flags of a command. To begin with:\n", program);
    fprintf(to, "  %s train --out runs/first\n", program);
}

static int unknown_command(const char *word, const char *program)
{
    nearest n = nearest_to(word);
    for (int i = 0; i < COMMANDS; i++)
        nearest_offer(&n, commands[i].name);
    if (n.best != NULL)
        return complain(EXIT_USAGE, "there is no command '%s'; did you mean '%s'?", word, n.best);
    return complain(EXIT_USAGE, "there is no command '%.64s'; see '%s --help'", word, program);
}

static int dispatch(int argc, char **argv)
{
    static char program[SHOWN_TEXT];
    options o = {.program = argc > 0 && *argv[0] != '\0' ? shown(program, argv[0]) : "vae"};
    if (argc < 2) {
        print_help(stderr, o.program);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help(stdout, o.program);
        return EXIT_GOOD;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("vae (tapir) " VERSION);
        return EXIT_GOOD;
    }
    for (int i = 0; i < COMMANDS; i++) {
        if (strcmp(argv[1], commands[i].name) != 0)
            continue;
        int code = options_read(&o, commands[i].id, argv[1], argc - 2, argv + 2);
        if (code != EXIT_GOOD)
            return code;
        if (!o.help)
            return commands[i].run(&o);
        options_help(o.program, commands[i].id, argv[1], commands[i].summary);
        return EXIT_GOOD;
    }
    return unknown_command(argv[1], o.program);
}

/* With a standard stream closed, the next file opened would take its number and get its output. */
static bool streams_open(void)
{
    bool writable = true;
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
            writable &= fd != STDOUT_FILENO;
            if (open("/dev/null", O_RDWR) < 0)
                return false;
        }
    return writable;
}

/* What tp_set_threads does not take as a number is not for OpenMP either: libgomp would complain at each start, and
 * libomp would start as many threads as it can. */
static void drop_garbage(void)
{
    const char *threads = getenv("OMP_NUM_THREADS");
    if (threads == NULL)
        return;
    long count = strtol(threads, NULL, 10);
    if (count < 1 || count > INT_MAX || threads[strspn(threads, "0123456789,")] != '\0')
        unsetenv("OMP_NUM_THREADS");
}

/* By default libgomp's threads spin for milliseconds when they wait, which beside other work costs most of
 * the speed, and asleep at once they cost half of it alone. 2000 rounds, about a tenth of a millisecond, are
 * good in both cases. The runtime reads its environment before main, hence the second start; without
 * /proc, or if anything was said about waiting, all stays as it is. */
static void limit_spinning(char **argv)
{
    if (getenv("GOMP_SPINCOUNT") != NULL || getenv("OMP_WAIT_POLICY") != NULL)
        return;
    if (setenv("GOMP_SPINCOUNT", "2000", 1) == 0)
        execv("/proc/self/exe", argv);
}

int main(int argc, char **argv)
{
    drop_garbage();
    if (argc > 1 && tp_have_openmp())
        limit_spinning(argv);
    signal(SIGPIPE, SIG_IGN); /* a reader that leaves and a full quota show as failing writes */
    signal(SIGXFSZ, SIG_IGN);
    if (!streams_open())
        return complain(EXIT_BAD, "standard output is closed");
    int code = dispatch(argc, argv);
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == EXIT_GOOD)
        code = complain(EXIT_BAD, "cannot write to standard output");
    return code;
}
