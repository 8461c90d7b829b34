/* axis.c: see axis.h. */
#include "axis.h"

#include <math.h>
#include <string.h>

bool axis_takes(const axis *a, double v)
{
    return fabs(v) < 1e300 && (!a->log || v > 1e-300); /* false for NaN */
}

void axis_include(axis *a, double v)
{
    if (!axis_takes(a, v))
        return;
    bool first = !(a->low <= a->high);
    a->low = first || v < a->low ? v : a->low;
    a->high = first || v > a->high ? v : a->high;
}

/* 1, 2 or 5 times a power of ten: at most six of them in a span. */
static double nice_step(double span)
{
    double power = pow(10, floor(log10(span / 5)));
    const double factor[] = {1, 2, 5, 10};
    int i = 0;
    while (i < 3 && span / (power * factor[i]) > 6)
        i++;
    return power * factor[i];
}

static double step_of(const axis *a)
{
    double step = nice_step(a->high - a->low);
    return a->whole && step < 1 ? 1 : step;
}

void axis_settle(axis *a, bool round)
{
    if (!(a->low <= a->high)) { /* nothing to show */
        a->low = a->log ? 1 : 0;
        a->high = a->log ? 10 : 1;
    }
    if (a->log) {
        if (a->high < 1.01 * a->low) {
            a->low /= 2;
            a->high *= 2;
        }
        return;
    }
    double most = fmax(fabs(a->low), fabs(a->high)), least = most > 0 ? 1e-6 * most : 1;
    if (a->high - a->low < least) {
        double wider = most > 0 ? 0.05 * most : 0.5;
        a->low -= wider;
        a->high += wider;
    }
    if (round) {
        a->step = step_of(a);
        a->low = floor(a->low / a->step + 1e-9) * a->step;
        a->high = ceil(a->high / a->step - 1e-9) * a->step;
    }
}

double axis_pixel(const axis *a, double v)
{
    double t = a->log ? log(v / a->low) / log(a->high / a->low) : (v - a->low) / (a->high - a->low);
    return a->from + t * (a->to - a->from);
}

static int linear_ticks(const axis *a, double tick[AXIS_TICKS])
{
    double step = a->step > 0 ? a->step : step_of(a); /* the ends it made are farther apart */
    double first = ceil(a->low / step - 1e-9);
    int n = 0;
    for (; n < AXIS_TICKS && (first + n) * step <= a->high + 1e-9 * step; n++)
        tick[n] = first + n == 0 ? 0 : (first + n) * step;
    return n;
}

/* Powers of ten, every few of them if there are many, with twice and five times them if there are few. */
static int log_ticks(const axis *a, double tick[AXIS_TICKS])
{
    double decades = log10(a->high / a->low);
    int apart = 1 + (int)(decades / 10), n = 0;
    const double factor[] = {1, 2, 5};
    int k = (int)floor(log10(a->low));
    for (k = a->whole && k < 0 ? 0 : k; k <= log10(a->high) && n < AXIS_TICKS; k += apart)
        for (int i = 0; i < (decades < 2.5 ? 3 : 1) && n < AXIS_TICKS; i++) {
            double v = factor[i] * pow(10, k);
            if (v >= a->low * (1 - 1e-9) && v <= a->high * (1 + 1e-9))
                tick[n++] = v;
        }
    return n;
}

int axis_ticks(const axis *a, double tick[AXIS_TICKS])
{
    enum { FEW = 6 }; /* so far apart, whole numbers have room for a tick each */
    bool few = a->whole && a->high - a->low <= FEW;
    int n = a->log && !few ? log_ticks(a, tick) : 0;
    return n >= 2 ? n : linear_ticks(a, tick);
}

char *axis_text(char text[TP_NUMBER_TEXT], double v)
{
    double size = fabs(v);
    const char *unit = size >= 1e6 && size < 1e12 ? "M" : size >= 1e4 && size < 1e6 ? "k" : "";
    char number[TP_NUMBER_TEXT];
    tp_number(number, 'g', 9, *unit == 'M' ? v / 1e6 : *unit == 'k' ? v / 1e3 : v);
    const char *digits = *number == '-' ? number + 1 : number;
    snprintf(text, TP_NUMBER_TEXT, "%s%.40s%s", digits == number ? "" : "−", digits, unit);
    return text;
}
