/* Numbers as text, as Python writes them. */
#include "native.h"

#define MAX_TEXT 32

static char *write_python_float(double value, char *out)
{
    char *text = PyOS_double_to_string(value, 'r', 0, Py_DTSF_ADD_DOT_0, NULL);
    if (!text)
        return NULL;
    size_t size = strlen(text);
    memcpy(out, text, size);
    PyMem_Free(text);
    return out + size;
}

#ifdef __SIZEOF_INT128__
__extension__ typedef unsigned __int128 Wide;

#define MOST_FIVES 27

static const uint64_t FIVES[MOST_FIVES + 1] = {
    1ULL, 5ULL, 25ULL, 125ULL, 625ULL, 3125ULL, 15625ULL, 78125ULL, 390625ULL, 1953125ULL, 9765625ULL, 48828125ULL,
    244140625ULL, 1220703125ULL, 6103515625ULL, 30517578125ULL, 152587890625ULL, 762939453125ULL, 3814697265625ULL,
    19073486328125ULL, 95367431640625ULL, 476837158203125ULL, 2384185791015625ULL, 11920928955078125ULL,
    59604644775390625ULL, 298023223876953125ULL, 1490116119384765625ULL, 7450580596923828125ULL};

/* The shortest decimal number s 10^k that reads back as c 2^q, and of those the nearest; 0 where this is not the way to
 * find it. 2^52 < c < 2^53 and -MOST_FIVES <= k <= 0, where 10^k <= 2^q < 10^(k+1).
 *
 * What reads back lies within 2^q / 2 of c 2^q, the ends included if c is even. That is at least as wide as 10^k and
 * narrower than 10^(k+1): one multiple of 10^(k+1) at most lies there, and then it is the answer; otherwise it is the
 * nearer one of the multiples of 10^k on both sides (Giulietti, "The Schubfach way to render doubles", 2020). All of
 * it is exact here, in units of 10^k / unit: with f = -k and unit = 2^(1-q-f), c 2^q is 2 c 5^f and the half width 5^f,
 * below 2^118. */
static uint64_t shortest(uint64_t c, int q, int k)
{
    Wide half = FIVES[-k], middle = half * (2 * c), low = middle - half, high = middle + half;
    int shift = 1 - q + k;
    Wide unit = (Wide)1 << shift;
    int open = (int)(c & 1);
    uint64_t s = (uint64_t)(middle >> shift), tens = s - s % 10;
    Wide below = tens * unit, above = below + 10 * unit;
    if (below >= low + open)
        return tens;
    if (above + open <= high)
        return tens + 10;
    below = s * unit;
    above = below + unit;
    int has_below = below >= low + open, has_above = above + open <= high;
    if (has_below && has_above) {
        Wide before = middle - below, behind = above - middle;
        return before < behind ? s : behind < before ? s + 1 : 0;
    }
    return has_below ? s : has_above ? s + 1 : 0;
}

/* What Python's repr() writes; *out has room for MAX_TEXT. Returns its end, or NULL with an exception set. */
static char *write_float(double value, char *out)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint64_t fraction = bits & ((1ULL << 52) - 1);
    int q = (int)(bits >> 52 & 2047) - 1075;
    /* floor(q log10(2)), for every q <= 0 that there is */
    int k = q > 0 ? 1 : -((-q * 78913 + (1 << 18) - 1) >> 18);
    uint64_t digits = k > 0 || k < -MOST_FIVES || !fraction ? 0 : shortest(fraction | 1ULL << 52, q, k);
    if (!digits)
        return write_python_float(value, out);
    while (digits % 10 == 0) {
        digits /= 10;
        k++;
    }
    char text[20];
    int n = 0;
    for (uint64_t rest = digits; rest; rest /= 10)
        text[19 - n++] = (char)('0' + rest % 10);
    const char *first = text + 20 - n;
    int point = n + k; /* digits before the decimal point */
    if (bits >> 63)
        *out++ = '-';
    if (point > 16 || point < -3) {
        *out++ = *first;
        if (n > 1) {
            *out++ = '.';
            memcpy(out, first + 1, (size_t)n - 1);
            out += n - 1;
        }
        int exponent = point - 1;
        *out++ = 'e';
        *out++ = exponent < 0 ? '-' : '+';
        exponent = exponent < 0 ? -exponent : exponent;
        *out++ = (char)('0' + exponent / 10);
        *out++ = (char)('0' + exponent % 10);
        return out;
    }
    if (point <= 0) {
        *out++ = '0';
        *out++ = '.';
        for (; point < 0; point++)
            *out++ = '0';
        memcpy(out, first, (size_t)n);
        return out + n;
    }
    for (int i = 0; i < point; i++)
        *out++ = i < n ? first[i] : '0';
    *out++ = '.';
    if (n <= point)
        *out++ = '0';
    else {
        memcpy(out, first + point, (size_t)(n - point));
        out += n - point;
    }
    return out;
}
#else
static char *write_float(double value, char *out)
{
    return write_python_float(value, out);
}
#endif

PyDoc_STRVAR(write_rows_doc, "write_rows(values, n_columns, starts, start_ends, choice, lines, n_lines, out)\n\n"
                             "Write n_lines lines into out and return their length: for row i, on line lines[i], the\n"
                             "text number choice[i] of those in starts, then the row's values as repr() writes them,\n"
                             "with tabs between. Lines without a row are empty.");

static PyObject *write_rows(PyObject *self, PyObject *args)
{
    PyObject *objects[6];
    Py_ssize_t k_all, n_lines;
    (void)self;
    if (!PyArg_ParseTuple(args, "OnOOOOnO", &objects[0], &k_all, &objects[1], &objects[2], &objects[3], &objects[4],
                          &n_lines, &objects[5]))
        return NULL;
    static const Py_ssize_t sizes[6] = {8, 1, 8, 8, 8, 1};
    Buffer b[6] = {{.held = 0}};
    PyObject *result = NULL;
    for (int k = 0; k < 6; k++)
        if (!acquire(objects[k], &b[k], sizes[k], k == 5))
            goto done;
    const double *values = b[0].view.buf;
    const char *starts = b[1].view.buf;
    const int64_t *start_ends = b[2].view.buf, *choice = b[3].view.buf, *lines = b[4].view.buf;
    char *out = b[5].view.buf, *p = out;
    Py_ssize_t n_starts = items(&b[2]), n = items(&b[4]), room = items(&b[5]), at = 0;
    if (k_all < 1 || n_lines < n || items(&b[3]) != n || items(&b[0]) != n * k_all) {
        PyErr_SetString(PyExc_ValueError, "arrays do not fit together");
        goto done;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        int64_t chosen = choice[i], first, size;
        if (lines[i] < at || lines[i] >= n_lines || chosen < 0 || chosen >= n_starts ||
            (first = chosen ? start_ends[chosen - 1] : 0) < 0 || (size = start_ends[chosen] - first) < 0 ||
            start_ends[chosen] > items(&b[1])) {
            PyErr_SetString(PyExc_ValueError, "a row's line or text is out of range");
            goto done;
        }
        if (room - (p - out) < n_lines - at + size + k_all * MAX_TEXT) {
            PyErr_SetString(PyExc_ValueError, "no room for the text");
            goto done;
        }
        for (; at < lines[i]; at++)
            *p++ = '\n';
        memcpy(p, starts + first, (size_t)size);
        p += size;
        for (Py_ssize_t k = 0; k < k_all; k++) {
            if (k)
                *p++ = '\t';
            p = write_float(values[i * k_all + k], p);
            if (!p)
                goto done;
        }
        *p++ = '\n';
        at++;
    }
    if (room - (p - out) < n_lines - at) {
        PyErr_SetString(PyExc_ValueError, "no room for the text");
        goto done;
    }
    for (; at < n_lines; at++)
        *p++ = '\n';
    result = PyLong_FromSsize_t(p - out);
done:
    release(b, 6);
    return result;
}

PyMethodDef write_methods[] = {
    {"write_rows", write_rows, METH_VARARGS, write_rows_doc},
    {NULL, NULL, 0, NULL},
};
