/* say.h: what the tool tells people while it works: complaints, notes and the progress bar, all on stderr.
 *
 * Results go to stdout and are printed where they are made. Read next: main.c.
 */
#ifndef VAE_SAY_H
#define VAE_SAY_H

#include <stdbool.h>
#include <stdint.h>

/* "vae: <text>"; returns code. complain_error says the library's last error without its code. What a terminal
 * would obey, or cannot show, is escaped as \xNN. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
int complain(int code, const char *format, ...);
int complain_error(int code);
#if defined(__GNUC__)
__attribute__((format(printf, 1, 2)))
#endif
void note(const char *format, ...);

/* s with the same escapes, for what is printed elsewhere; cut where text is full. */
enum { SHOWN_TEXT = 4096 };
const char *shown(char text[SHOWN_TEXT], const char *s);

/* s as one word of a command line that is shown to be copied: in quotes where a shell needs them. */
const char *shell_word(char text[SHOWN_TEXT], const char *s);

/* Seconds since some fixed moment. */
double seconds_now(void);
/* "0:07", "12:30", "1:02:30" */
enum { TIME_TEXT = 32 };
char *time_text(double seconds, char text[TIME_TEXT]);

/* Progress over epochs of equal work: a bar with the time left if stderr is a terminal, else one line
 * with the first estimate if the whole will take a while. */
typedef struct bar {
    bool terminal, estimated;
    int64_t epochs, samples; /* samples of one epoch */
    double evaluation;       /* work after the samples of an epoch, in samples */
    double before;           /* work that an earlier call has done */
    double start, last;
} bar;

/* It begins at epoch (1 for a new run) behind `done` samples. */
bar bar_start(int64_t epochs, int64_t samples, int64_t evaluated, int64_t epoch, int64_t done);
/* After `done` samples of an epoch (1 … epochs). */
void bar_show(bar *b, int64_t epoch, int64_t done, double loss);
/* The same of work that has no epochs: the part of it that is done, and what it is. */
void bar_part(bar *b, double part, const char *what);
/* Clears the bar, so that a line can be printed in its place. */
void bar_clear(const bar *b);

#endif
