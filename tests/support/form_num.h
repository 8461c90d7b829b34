/* form_num.h: numbers that know how far rounding may have taken them. Private to index_form.c. */
#ifndef TP_TESTS_FORM_NUM_H
#define TP_TESTS_FORM_NUM_H

#include <stdbool.h>

/* A number with a bound of the rounding errors that evaluating in f64 would have made, in units of ε. */
typedef struct num {
    long double v, e;
} num;

num num_add(num a, num b, int sign);
num num_multiply(num a, num b);
num num_divide(num a, num b);
num num_power(num a, num b);
/* A function by name, b is the second argument of max and min. False: there is none. */
bool num_function(const char *name, num a, num b, num *out);

#endif
