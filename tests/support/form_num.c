/* form_num.c: see form_num.h. */
#include "tests/support/form_num.h"

#include <math.h>
#include <string.h>

num num_add(num a, num b, int sign)
{
    long double v = a.v + (long double)sign * b.v;
    return (num){v, a.e + b.e + fabsl(v)};
}

num num_multiply(num a, num b)
{
    long double v = a.v * b.v;
    return (num){v, fabsl(a.v) * b.e + fabsl(b.v) * a.e + fabsl(v)};
}

num num_divide(num a, num b)
{
    long double v = a.v / b.v;
    return (num){v, (a.e + fabsl(v) * b.e) / fabsl(b.v) + fabsl(v)};
}

num num_power(num a, num b)
{
    long double v = powl(a.v, b.v), e = fabsl(v);
    if (b.e > 0)
        e += fabsl(v * logl(fabsl(a.v))) * b.e;
    if (a.e > 0)
        e += fabsl(v * b.v / a.v) * a.e;
    return (num){v, e};
}

bool num_function(const char *name, num a, num b, num *out)
{
    long double x = a.v, e = a.e, v;
    if (strcmp(name, "max") == 0 || strcmp(name, "min") == 0)
        return *out = (name[1] == 'a') == (a.v >= b.v) ? a : b, true;
    if (strcmp(name, "exp") == 0)
        v = expl(x), e *= v;
    else if (strcmp(name, "log") == 0)
        v = logl(x), e /= fabsl(x);
    else if (strcmp(name, "sqrt") == 0)
        v = sqrtl(x), e /= 2 * v;
    else if (strcmp(name, "abs") == 0)
        return *out = (num){fabsl(x), e}, true;
    else if (strcmp(name, "round") == 0)
        v = rintl(x);
    else if (strcmp(name, "sin") == 0)
        v = sinl(x);
    else if (strcmp(name, "cos") == 0)
        v = cosl(x);
    else if (strcmp(name, "tanh") == 0)
        v = tanhl(x);
    else if (strcmp(name, "erf") == 0)
        v = erfl(x), e *= 2;
    else if (strcmp(name, "erfc") == 0)
        v = erfcl(x), e *= 2;
    else
        return false;
    *out = (num){v, (a.e == 0 ? 0 : e) + fabsl(v)};
    return true;
}
