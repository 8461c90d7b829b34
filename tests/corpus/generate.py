#!/usr/bin/env python3
"""Writes the files of tests/corpus: hostile, damaged and odd ones, a few hundred bytes each.

Usage: python3 tests/corpus/generate.py          (standard library only; nothing of tapir is used)

A file whose name starts with ok_ must be read, any other must be refused; what exactly is said about each
stands in expected.txt, which check_corpus.c compares. The files are committed, so the tests need no Python.
Files too large to store (a header of 100 MB) are made by check_corpus.c.
"""
import os
import shutil
import struct
import sys
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
written = []


def put(name, data):
    path = os.path.join(HERE, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    assert name not in written, name
    written.append(name)
    with open(path, 'wb') as f:
        f.write(data)


# --- idx ------------------------------------------------------------------------------------------

def idx(dims, payload, kind=8, ndim=None):
    head = bytes([0, 0, kind, len(dims) if ndim is None else ndim])
    return head + b''.join(struct.pack('>I', d) for d in dims) + payload


TWELVE = bytes(range(1, 13))
SMALL_IDX = idx([3, 4], TWELVE)


def make_idx():
    def f(name, data):
        put('idx/' + name + '.idx', data)

    f('ok_labels', idx([3], b'\7\0\2'))
    f('ok_images', idx([2, 2, 3], TWELVE))
    f('ok_four_dims', idx([1, 2, 3, 2], TWELVE))
    f('ok_no_images', idx([0, 28, 28], b''))
    f('ok_no_images_huge_otherwise', idx([0, 0xffffffff], b''))
    f('empty', b'')
    f('one_byte', b'\0')
    f('three_bytes', b'\0\0\10')
    f('magic_only', idx([], b'', ndim=3))
    f('sizes_cut', SMALL_IDX[:11])
    f('no_elements', SMALL_IDX[:12])
    f('one_element_short', SMALL_IDX[:-1])
    f('one_byte_too_long', SMALL_IDX + b'\0')
    f('newline_at_end', SMALL_IDX + b'\n')
    f('two_files_in_one', SMALL_IDX + SMALL_IDX)
    for name, kind in [('signed_bytes', 9), ('i16', 11), ('i32', 12), ('f32', 13), ('f64', 14),
                       ('type_0', 0), ('type_10', 10), ('type_255', 255)]:
        f(name, idx([3, 4], TWELVE, kind=kind))
    f('no_dimensions', idx([], b'\1', ndim=0))
    f('five_dimensions', idx([1, 1, 1, 3, 4], TWELVE))
    f('255_dimensions', idx([1] * 255, b'\1'))
    f('product_overflows_64_bits', idx([0xffffffff] * 4, TWELVE))
    f('product_wraps_to_zero', idx([0x80000000, 0x80000000, 4], b''))
    f('product_wraps_to_twelve', idx([0x80000001, 0x80000001, 0x40000000, 12], TWELVE))
    f('4_gib_promised', idx([0xffffffff], TWELVE))
    f('zero_times_overflow', idx([0, 0xffffffff, 0xffffffff, 0xffffffff], b''))
    f('sizes_little_endian', bytes([0, 0, 8, 1]) + struct.pack('<I', 12) + TWELVE)
    f('magic_little_endian', bytes([1, 8, 0, 0]) + struct.pack('<I', 12) + TWELVE)
    f('first_byte_not_zero', b'\1' + SMALL_IDX[1:])
    f('second_byte_not_zero', b'\0\1' + SMALL_IDX[2:])


# --- idx inside gzip -------------------------------------------------------------------------------

def raw_deflate(data, level=9):
    z = zlib.compressobj(level, zlib.DEFLATED, -15)
    return z.compress(data) + z.flush()


def gz(data, flags=0, extra=b'', method=8, crc=None, size=None, level=9):
    head = b'\x1f\x8b' + bytes([method, flags]) + b'\0\0\0\0\0\3' + extra
    crc = zlib.crc32(data) if crc is None else crc
    size = len(data) & 0xffffffff if size is None else size
    return head + raw_deflate(data, level) + struct.pack('<II', crc, size)


def make_gz():
    def f(name, data):
        put('gz/' + name + '.gz', data)

    good = gz(SMALL_IDX)
    f('ok_one_member', good)
    f('ok_stored_block', gz(SMALL_IDX, level=0))
    f('ok_two_members', gz(SMALL_IDX[:14]) + gz(SMALL_IDX[14:]))
    f('ok_members_cut_in_the_header', gz(SMALL_IDX[:3]) + gz(SMALL_IDX[3:9]) + gz(SMALL_IDX[9:]))
    f('ok_empty_members', gz(b'') + good + gz(b'') + gz(b''))
    f('ok_500_empty_members', good + 500 * gz(b''))
    f('ok_name_comment_extra', gz(SMALL_IDX, 4 | 8 | 16, b'\3\0abcdigits.idx\0made by hand\0'))
    head = b'\x1f\x8b\x08\x02\0\0\0\0\0\3'
    hcrc = struct.pack('<H', zlib.crc32(head) & 0xffff)
    f('ok_header_checksum', head + hcrc + good[10:])
    f('ok_no_images_huge_otherwise', gz(idx([0, 0xffffffff], b'')))
    f('bad_header_checksum', head + b'\0\0' + good[10:])
    f('cut_after_magic', good[:2])
    f('cut_in_header', good[:7])
    f('cut_after_header', good[:10])
    f('cut_in_deflate', good[:20])
    f('cut_before_trailer', good[:-8])
    f('cut_in_checksum', good[:-6])
    f('cut_in_length', good[:-1])
    f('cut_in_second_member', gz(SMALL_IDX[:14]) + gz(SMALL_IDX[14:])[:-9])
    f('name_without_end', gz(SMALL_IDX, 8, b'digits')[:16])
    f('bad_checksum', gz(SMALL_IDX, crc=0x12345678))
    f('bad_length', gz(SMALL_IDX, size=25))
    f('bad_checksum_in_second', gz(SMALL_IDX[:14]) + gz(SMALL_IDX[14:], crc=1))
    f('unknown_method', gz(SMALL_IDX, method=7))
    f('reserved_flags', gz(SMALL_IDX, flags=0xe0))
    f('bad_block_type', good[:10] + b'\7' + good[11:])
    f('bad_stored_length', gz(SMALL_IDX, level=0)[:11] + b'\x18\0\0\0' + SMALL_IDX + good[-8:])
    f('distance_too_far_back', good[:10] + bytes.fromhex('0cc081000000000090ff6b0400') + good[-8:])
    f('garbage_after', good + b'garbage')
    f('zeros_after', good + bytes(512))
    f('newline_after', good + b'\n')
    f('magic_like_garbage_after', good + b'\x1f\x00\x00')
    f('zip_after', good + b'PK\3\4')
    f('twice_compressed', gz(good))
    f('zlib_stream', zlib.compress(SMALL_IDX, 9))
    f('raw_deflate', raw_deflate(SMALL_IDX))
    f('nothing_inside', gz(b''))
    f('two_bytes_inside', gz(b'\0\0'))
    f('png_inside', gz(SMALL_PNG))
    f('html_inside', gz(b'<!DOCTYPE html><title>404 Not Found</title>'))
    f('npy_inside', gz(npy(head_of('<f4', '(2,)'), bytes(8))))
    f('tar_inside', gz(b'train-images' + bytes(500)))
    f('short_inside', gz(SMALL_IDX[:-1]))
    f('sizes_cut_inside', gz(SMALL_IDX[:9]))
    f('one_byte_too_long_inside', gz(SMALL_IDX + b'\0'))
    f('second_idx_in_second_member', good + good)
    f('i32_inside', gz(idx([3], bytes(12), kind=12)))
    f('bomb_4_mib_behind_12_bytes', gz(SMALL_IDX + bytes(1 << 22)))
    f('bomb_honest_but_short', gz(idx([64, 1024, 1024], bytes(1 << 20))))
    f('bomb_declared', gz(idx([60000, 28, 28], b'')))
    f('product_overflows_inside', gz(idx([0xffffffff] * 4, TWELVE)))


# --- npy ------------------------------------------------------------------------------------------

def npy(header, payload=b'', version=(1, 0), length=None, newline=b'\n'):
    header = header.encode('utf-8') if isinstance(header, str) else header
    wide = version[0] > 1
    prefix = 12 if wide else 10
    pad = -(prefix + len(header) + len(newline)) % 64 if newline else 0
    header += b' ' * pad + newline
    n = len(header) if length is None else length
    return b'\x93NUMPY' + bytes(version) + struct.pack('<I' if wide else '<H', n) + header + payload


def head_of(descr, shape, order='False'):
    return "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }" % (descr, order, shape)


SIX = struct.pack('<6f', 0.5, -1, 2, float('inf'), float('nan'), 1e-3)


def make_npy():
    def f(name, data):
        put('npy/' + name + '.npy', data)

    def h(name, header, payload=SIX, **more):
        f(name, npy(header, payload, **more))

    def shape(name, text, payload=SIX):
        h('shape_' + name, head_of('<f4', text), payload)

    good = npy(head_of('<f4', '(2, 3)'), SIX)
    f('ok_f4', good)
    h('ok_f8', head_of('<f8', '(2,)'), struct.pack('<2d', 0.1, -0.0))
    h('ok_i8', head_of('<i8', '(2,)'), struct.pack('<2q', -1, 2**53 - 1))
    h('ok_u1', head_of('|u1', '(3,)'), b'\0\x7f\xff')
    h('ok_u1_other_spelling', head_of('<u1', '(3,)'), b'\0\x7f\xff')
    h('ok_version_2', head_of('<f4', '(2, 3)'), version=(2, 0))
    h('ok_version_3', head_of('<f4', '(2, 3)'), version=(3, 0))
    h('ok_fortran', head_of('|u1', '(3, 4)', 'True'), TWELVE)
    h('ok_0d', head_of('<f8', '()'), struct.pack('<d', 2.5))
    h('ok_empty', head_of('<f4', '(0, 3)'), b'')
    h('ok_empty_huge_otherwise', head_of('<f4', '(0, 1000000000000)'), b'')
    h('ok_eight_dims', head_of('|u1', '(1, 1, 2, 1, 3, 1, 2, 1)'), TWELVE)
    h('ok_python_2_longs', head_of('<f4', '(2L, 3L)'))
    h('ok_keys_in_any_order', "{'shape': (2, 3), 'fortran_order': False, 'descr': '<f4'}")
    h('ok_double_quotes', '{"descr": "<f4", "fortran_order": False, "shape": (2, 3)}')
    h('ok_no_spaces', "{'descr':'<f4','fortran_order':False,'shape':(2,3)}", newline=b'')
    h('ok_no_newline_not_aligned', head_of('<f4', '(2, 3)'), newline=b'')
    h('ok_trailing_comma_in_shape', head_of('<f4', '(2, 3,)'))
    h('ok_header_of_9900_bytes', head_of('<f4', '(2, 3)') + ' ' * 9800)

    f('empty', b'')
    f('cut_in_magic', good[:5])
    f('cut_after_magic', good[:6])
    f('cut_in_version', good[:7])
    f('cut_after_version', good[:8])
    f('cut_in_length', good[:9])
    f('cut_after_length', good[:10])
    f('cut_in_header', good[:50])
    f('cut_after_header', good[:128])
    f('one_byte_short', good[:-1])
    f('one_byte_too_long', good + b'\0')
    f('two_arrays_in_one', good + good)
    f('magic_wrong', b'\x93NUMPX' + good[6:])
    for a, b in [(0, 0), (1, 1), (2, 1), (4, 0), (255, 255)]:
        f('version_%d_%d' % (a, b), good[:6] + bytes([a, b]) + good[8:])
    h('header_longer_than_file', head_of('<f4', '(2, 3)'), length=65535)
    h('header_of_4_gib', head_of('<f4', '(2, 3)'), version=(2, 0), length=0xffffffff)
    h('header_of_11000_bytes', head_of('<f4', '(2, 3)') + ' ' * 11000)
    h('header_of_0_bytes', b'', newline=b'')
    h('header_length_too_short', head_of('<f4', '(2, 3)'), length=40)
    h('header_length_too_long', head_of('<f4', '(2, 3)'), length=120)

    h('no_descr', "{'fortran_order': False, 'shape': (2, 3), }")
    h('no_order', "{'descr': '<f4', 'shape': (2, 3), }")
    h('no_shape', "{'descr': '<f4', 'fortran_order': False, }")
    h('empty_dictionary', '{}')
    h('descr_twice', "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }")
    h('unknown_key', "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'x': 1}")
    h('escape_codes_in_key', "{'\33[2J\33[31mdescr': '<f4'}")
    h('backslash_in_key', r"{'d\x65scr': '<f4', 'fortran_order': False, 'shape': (2, 3), }")
    h('bytes_as_key', "{b'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }")
    h('not_a_dictionary', "[('descr', '<f4')]")
    h('code_instead', "__import__('os').system('true')")
    h('no_closing_brace', "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), ")
    h('no_commas', "{'descr': '<f4' 'fortran_order': False 'shape': (2, 3)}")
    h('no_colon', "{'descr' '<f4', 'fortran_order': False, 'shape': (2, 3)}")
    h('text_after_dictionary', head_of('<f4', '(2, 3)') + '; x')
    h('comment_in_header', "{'descr': '<f4', # f32\n 'fortran_order': False, 'shape': (2, 3)}")
    h('nul_in_header', head_of('<f4', '(2, 3)') + '\0 hidden')
    h('string_without_end', "{'descr': '<f4")
    h('not_ascii', "{'d\u00e9scr': '<f4', 'fortran_order': False, 'shape': (2, 3)}", version=(3, 0))
    h('not_utf8', b"{'descr': '\xff\xfe', 'fortran_order': False, 'shape': (2, 3)}")

    for name, descr in [('objects', '|O'), ('objects_old', 'O8'), ('strings', '<U5'), ('bytes', '|S3'),
                        ('bool', '|b1'), ('i1', '|i1'), ('i4', '<i4'), ('u8', '<u8'), ('half', '<f2'),
                        ('long_double', '<f16'), ('complex', '<c8'), ('void', '|V4'),
                        ('big_endian', '>f4'), ('big_endian_i8', '>i8'), ('native', '=f4'),
                        ('no_order', 'f4'), ('dates', '<M8[ns]'), ('empty', ''), ('space', ' <f4'),
                        ('longer', '<f4 '), ('long', '<' + 'f' * 2000)]:
        h('descr_' + name, head_of(descr, '(2, 3)'))
    h('descr_records', "{'descr': [('x', '<f4'), ('y', '<f4')], 'fortran_order': False, 'shape': (3,)}")
    h('descr_subarray', "{'descr': ('<f4', (2,)), 'fortran_order': False, 'shape': (3,)}")
    h('descr_number', "{'descr': 4, 'fortran_order': False, 'shape': (2, 3)}")
    h('descr_escape_codes', head_of('<f4\33[31m', '(2, 3)'))
    h('pickled_objects', head_of('|O', '(1,)'), b'\x80\4]\x94K\1a.')

    h('order_lower_case', head_of('<f4', '(2, 3)', 'false'))
    h('order_number', head_of('<f4', '(2, 3)', '0'))
    h('order_string', head_of('<f4', '(2, 3)', "'False'"))
    h('order_none', head_of('<f4', '(2, 3)', 'None'))

    shape('list', '[2, 3]')
    shape('number', '6')
    shape('without_comma', '(6)')
    shape('negative', '(-2, -3)')
    shape('minus_one', '(2, -1)')
    shape('plus', '(+2, 3)')
    shape('fraction', '(2.0, 3)')
    shape('exponent', '(2e0, 3)')
    shape('hex', '(0x2, 3)')
    shape('underscore', '(1_0,)')
    shape('string', "('2', 3)")
    shape('none', '(None, 3)')
    shape('no_comma_between', '(2 3)')
    shape('only_comma', '(,)')
    shape('two_commas', '(2,, 3)')
    shape('not_closed', '(2, 3')
    shape('nested', '((2, 3),)')
    shape('deep', '(' * 4000 + ')' * 4000)
    shape('nine_dims', '(1, 1, 1, 1, 1, 1, 1, 2, 3)')
    shape('19_digits', '(9223372036854775807,)')
    shape('30_digits', '(' + '9' * 30 + ',)')
    shape('product_overflows', '(4294967296, 4294967296)')
    shape('product_wraps_to_six', '(6148914691236517206, 3)')
    shape('bytes_overflow', '(4611686018427387904,)')
    shape('zero_times_overflow', '(0, 4611686018427387904, 4611686018427387904)', b'')
    shape('does_not_fit_elements', '(2, 4)')
    h('order_wrong_for_size', head_of('<f8', '(3, 2)', 'True'))


# --- safetensors ------------------------------------------------------------------------------------

def st(header, data=b'', length=None):
    header = header.encode('utf-8') if isinstance(header, str) else header
    return struct.pack('<Q', len(header) if length is None else length) + header + data


def entry(dtype='F32', shape='[2,3]', offsets='[0,24]'):
    return '{"dtype":"%s","shape":%s,"data_offsets":%s}' % (dtype, shape, offsets)


def make_safetensors():
    def f(name, data):
        put('safetensors/' + name + '.safetensors', data)

    def h(name, header, data=SIX, **more):
        f(name, st(header, data, **more))

    def w(name, text, data=SIX):
        """One tensor 'w' described by text."""
        h(name, '{"w":%s}' % text, data)

    good = st('{"w":%s}' % entry(), SIX)
    f('ok_one', good)
    h('ok_no_tensors', '{}', b'')
    h('ok_padded', '{"w":%s}%s' % (entry(), ' ' * 13))
    h('ok_spaces_between', '{ "w" :\t{ "dtype" : "F32" ,\n"shape" : [ 2 , 3 ] ,\r\n"data_offsets":[0,24] } }')
    h('ok_all_types', '{"a":%s,"b":%s,"c":%s,"d":%s}' % (
        entry('U8', '[3]', '[0,3]'), entry('F32', '[1]', '[3,7]'), entry('I64', '[1]', '[7,15]'),
        entry('F64', '[]', '[15,23]')), b'\1\2\3' + SIX[:4] + struct.pack('<qd', -2, 0.25))
    h('ok_order_of_places', '{"b":%s,"a":%s}' % (entry('U8', '[4]', '[8,12]'), entry('U8', '[8]', '[0,8]')), TWELVE)
    h('ok_empty_tensors', '{"a":%s,"b":%s,"c":%s}' % (
        entry('F32', '[0,3]', '[0,0]'), entry('U8', '[12]', '[0,12]'), entry('F64', '[2,0]', '[12,12]')), TWELVE)
    h('ok_fields_in_any_order', '{"w":{"data_offsets":[0,24],"shape":[2,3],"dtype":"F32"}}')
    h('ok_metadata', '{"__metadata__":{"format":"pt","note":"caf\u00e9 \\u00e9 \\ud83d\\ude00 \\n"},"w":%s}' % entry())
    h('ok_empty_name', '{"":%s}' % entry())
    h('ok_names', '{"\\u0061\\t\\"\\\\":%s,"\u00e9":%s}' % (
        entry('U8', '[4]', '[0,4]'), entry('U8', '[8]', '[4,12]')), TWELVE)
    h('ok_eight_dims', '{"w":%s}' % entry('U8', '[1,1,1,1,1,1,3,4]', '[0,12]'), TWELVE)
    h('ok_200_tensors', '{%s}' % ','.join(
        '"t%03d":%s' % (i, entry('U8', '[1]', '[%d,%d]' % (i, i + 1))) for i in range(200)), bytes(range(200)))

    f('empty', b'')
    f('one_byte', good[:1])
    f('cut_in_length', good[:7])
    f('cut_after_length', good[:8])
    f('cut_after_brace', good[:9])
    f('cut_in_header', good[:40])
    f('cut_before_data', good[:-24])
    f('one_byte_short', good[:-1])
    f('one_byte_too_long', good + b'\0')
    f('two_files_in_one', good + good)
    f('length_0', st('', SIX))
    f('length_1', st('{', SIX))
    f('length_one_short', st('{"w":%s}' % entry(), SIX, length=len(good) - 33))
    f('length_one_more', st('{"w":%s}' % entry(), SIX, length=len(good) - 31))
    f('length_of_file', st('{"w":%s}' % entry(), SIX, length=len(good)))
    f('length_2_to_the_63', st('{"w":%s}' % entry(), SIX, length=1 << 63))
    f('length_all_ones', st('{"w":%s}' % entry(), SIX, length=(1 << 64) - 1))
    f('length_big_endian', struct.pack('>Q', len(good) - 32) + good[8:])

    h('space_first', ' {"w":%s}' % entry())
    h('byte_order_mark', '\ufeff{"w":%s}' % entry())
    h('array', '[1,2]')
    h('string', '"w"')
    h('null', 'null')
    h('utf16', '{"w":1}'.encode('utf-16-le'))
    h('not_closed', '{"w":%s' % entry())
    h('text_after', '{"w":%s} x' % entry())
    h('two_objects', '{"w":%s}{}' % entry())
    h('newline_after', '{"w":%s}\n' % entry())
    h('nul_after', '{"w":%s}\0' % entry())
    h('comma_at_end', '{"w":%s,}' % entry())
    h('comma_missing', '{"w":%s"v":%s}' % (entry(), entry()))
    h('colon_missing', '{"w"%s}' % entry())
    h('single_quotes', "{'w':%s}" % entry())
    h('comment', '{/*x*/"w":%s}' % entry())
    h('key_not_quoted', '{w:%s}' % entry())
    h('deep_arrays', '{"w":' + '[' * 20000)
    h('deep_objects', '{"w":' + '{"a":' * 5000)
    h('deep_metadata', '{"__metadata__":' + '{"a":' * 5000)

    h('string_without_end', '{"w')
    h('newline_in_name', '{"w\n":%s}' % entry())
    h('escape_codes_in_name', '{"\33[31mred":%s}' % entry())
    h('nul_in_name', '{"w\0x":%s}' % entry())
    h('escaped_nul_in_name', '{"w\\u0000x":%s}' % entry())
    h('unknown_escape', '{"w\\x41":%s}' % entry())
    h('escape_cut', '{"w\\u12":%s}' % entry())
    h('escape_not_hex', '{"w\\u12g4":%s}' % entry())
    h('high_surrogate_alone', '{"w\\ud83d":%s}' % entry())
    h('low_surrogate_alone', '{"w\\ude00":%s}' % entry())
    h('surrogates_swapped', '{"w\\ude00\\ud83d":%s}' % entry())
    for name, raw in [('overlong', b'\xc0\xaf'), ('continuation_alone', b'\x80'), ('latin_1', b'\xe9'),
                      ('surrogate', b'\xed\xa0\x80'), ('beyond_unicode', b'\xf4\x90\x80\x80'),
                      ('cut_character', b'\xe2\x82')]:
        h('utf8_' + name, b'{"w' + raw + b'":' + entry().encode() + b'}')

    for name, dtype in [('f16', 'F16'), ('bf16', 'BF16'), ('bool', 'BOOL'), ('i32', 'I32'), ('f8', 'F8_E4M3'),
                        ('lower_case', 'f32'), ('empty', ''), ('unknown', 'Q7'), ('long', 'F' * 3000),
                        ('escape_codes', '\\u001b[31mF32')]:
        w('dtype_' + name, entry(dtype))
    w('dtype_number', '{"dtype":32,"shape":[2,3],"data_offsets":[0,24]}')
    w('dtype_null', '{"dtype":null,"shape":[2,3],"data_offsets":[0,24]}')

    for name, text in [('negative', '[-2,-3]'), ('minus_zero', '[-0]'), ('fraction', '[2.0,3]'),
                       ('exponent', '[6e0]'), ('plus', '[+2,3]'), ('leading_zero', '[02,3]'),
                       ('hex', '[0x2,3]'), ('string', '["2",3]'), ('null', 'null'), ('number', '6'),
                       ('object', '{}'), ('nested', '[[2,3]]'), ('nan', '[NaN]'), ('true', '[true,6]'),
                       ('comma_at_end', '[2,3,]'), ('not_closed', '[2,3'), ('two_to_the_63', '[9223372036854775808]'),
                       ('two_to_the_64', '[18446744073709551622]'), ('40_digits', '[' + '9' * 40 + ']'),
                       ('1e999', '[1e999]'), ('nine_dims', '[1,1,1,1,1,1,1,2,3]'),
                       ('product_overflows', '[4294967296,4294967296]'),
                       ('product_wraps_to_six', '[6148914691236517206,3]'),
                       ('bytes_overflow', '[4611686018427387904]'), ('does_not_fit', '[2,4]'),
                       ('zero_does_not_fit', '[0]'), ('0d_does_not_fit', '[]')]:
        w('shape_' + name, entry(shape=text))
    w('shape_zero_times_overflow', entry(shape='[0,4611686018427387904,4611686018427387904]', offsets='[0,0]'), b'')

    for name, text in [('backwards', '[24,0]'), ('one', '[24]'), ('three', '[0,12,24]'), ('none', '[]'),
                       ('negative', '[-24,0]'), ('fraction', '[0,24.0]'), ('string', '"0-24"'),
                       ('hole_before', '[4,28]'), ('beyond_the_end', '[24,48]'),
                       ('huge', '[9223372036854775783,9223372036854775807]'),
                       ('too_large', '[18446744073709551592,18446744073709551616]')]:
        w('offsets_' + name, entry(offsets=text))
    two = '{"a":%s,"b":%s}'
    h('overlap', two % (entry('U8', '[8]', '[0,8]'), entry('U8', '[8]', '[4,12]')), TWELVE)
    h('same_place', two % (entry('U8', '[12]', '[0,12]'), entry('U8', '[12]', '[0,12]')), TWELVE)
    h('hole', two % (entry('U8', '[4]', '[0,4]'), entry('U8', '[4]', '[8,12]')), TWELVE)
    h('empty_inside_another', two % (entry('U8', '[12]', '[0,12]'), entry('U8', '[0]', '[6,6]')), TWELVE)
    h('second_cut', two % (entry('U8', '[8]', '[0,8]'), entry('U8', '[8]', '[8,16]')), TWELVE)
    h('bytes_after_last', two % (entry('U8', '[4]', '[0,4]'), entry('U8', '[4]', '[4,8]')), TWELVE)
    h('data_without_tensors', '{}', TWELVE)

    w('no_dtype', '{"shape":[2,3],"data_offsets":[0,24]}')
    w('no_shape', '{"dtype":"F32","data_offsets":[0,24]}')
    w('no_offsets', '{"dtype":"F32","shape":[2,3]}')
    w('field_twice', '{"dtype":"F32","dtype":"F32","shape":[2,3],"data_offsets":[0,24]}')
    w('unknown_field', '{"dtype":"F32","shape":[2,3],"data_offsets":[0,24],"device":"cpu"}')
    w('entry_is_array', '["F32",[2,3],[0,24]]')
    w('entry_is_null', 'null')
    w('entry_is_empty', '{}')
    h('name_twice', '{"w":%s,"w":%s}' % (entry('U8', '[12]', '[0,12]'), entry('U8', '[12]', '[12,24]')))
    h('name_twice_by_escape', '{"w":%s,"\\u0077":%s}' % (entry('U8', '[12]', '[0,12]'), entry('U8', '[12]', '[12,24]')))
    for name, text in [('escape_codes', '\\u001b]0;owned\\u0007\\u001b[2J'), ('c1', '\u009b31m'),
                       ('delete', 'a\x7f'), ('newline', 'w\\nE_IO: forged'), ('quotes', "it's \\\"w\\\""),
                       ('right_to_left', '\u202egnp.w'), ('of_3000_bytes', 'encoder.' * 375)]:
        h('name_twice_' + name, '{"%s":%s,"%s":%s}' % (
            text, entry('U8', '[12]', '[0,12]'), text, entry('U8', '[12]', '[12,24]')))
    h('name_escape_codes_and_hole', '{"\\u001b[1mw":%s}' % entry(offsets='[4,28]'), SIX + bytes(4))
    h('metadata_number', '{"__metadata__":{"step":3},"w":%s}' % entry())
    h('metadata_null', '{"__metadata__":null,"w":%s}' % entry())
    h('metadata_string', '{"__metadata__":"pt","w":%s}' % entry())
    h('metadata_nested', '{"__metadata__":{"a":{"b":"c"}},"w":%s}' % entry())
    h('metadata_twice', '{"__metadata__":{},"w":%s,"__metadata__":{}}' % entry())
    h('metadata_key_twice', '{"__metadata__":{"a":"1","a":"2"},"w":%s}' % entry())
    h('metadata_key_twice_escape_codes', '{"__metadata__":{"\\u001b[7m":"1","\\u001b[7m":"2"},"w":%s}' % entry())
    h('metadata_is_a_tensor', '{"__metadata__":%s}' % entry())


# --- PNG ------------------------------------------------------------------------------------------

SIGNATURE = b'\x89PNG\r\n\x1a\n'


def chunk(name, data=b'', crc=None, length=None):
    crc = zlib.crc32(name + data) if crc is None else crc
    return struct.pack('>I', len(data) if length is None else length) + name + data + struct.pack('>I', crc)


def ihdr(width=4, height=3, depth=8, colour=0, compression=0, filtering=0, interlace=0):
    return chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, depth, colour, compression, filtering, interlace))


def rows(data, n, filtering=0):
    """data cut into rows of n bytes, each with its filter byte."""
    return b''.join(bytes([filtering]) + data[i:i + n] for i in range(0, len(data), n))


def idat(data):
    return chunk(b'IDAT', zlib.compress(data, 9))


IEND = chunk(b'IEND')
PIXELS = rows(bytes(range(0, 240, 20)), 4)
SMALL_PNG = SIGNATURE + ihdr() + idat(PIXELS) + IEND


def make_png():
    def f(name, *parts):
        put('png/' + name + '.png', SIGNATURE + b''.join(parts))

    def raw(name, data):
        put('png/' + name + '.png', data)

    image = idat(PIXELS)
    palette = chunk(b'PLTE', b'\xff\0\0\0\xff\0\0\0\xff')
    f('ok_grey', ihdr(), image, IEND)
    f('ok_rgb', ihdr(2, 2, colour=2), idat(rows(TWELVE, 6)), IEND)
    f('ok_rgb_16', ihdr(1, 2, 16, 2), idat(rows(TWELVE, 6)), IEND)
    f('ok_grey_16', ihdr(3, 2, 16), idat(rows(TWELVE, 6)), IEND)
    f('ok_grey_1', ihdr(9, 2, 1), idat(rows(b'\xaa\x80\x55\0', 2)), IEND)
    f('ok_grey_2', ihdr(4, 1, 2), idat(rows(b'\x1b', 1)), IEND)
    f('ok_grey_4', ihdr(2, 2, 4), idat(rows(b'\x0f\x73', 1)), IEND)
    f('ok_palette_8', ihdr(3, 2, colour=3), palette, idat(rows(b'\0\1\2\2\1\0', 3)), IEND)
    f('ok_palette_1', ihdr(8, 1, 1, 3), palette, idat(rows(b'\x5a', 1)), IEND)
    f('ok_palette_transparent', ihdr(3, 1, colour=3), palette, chunk(b'tRNS', b'\0\x80'), idat(rows(b'\0\1\2', 3)), IEND)
    f('ok_grey_alpha', ihdr(3, 2, colour=4), idat(rows(TWELVE, 6)), IEND)
    f('ok_rgb_alpha', ihdr(1, 3, colour=6), idat(rows(TWELVE, 4)), IEND)
    f('ok_filters', ihdr(4, 3), idat(b'\1\1\1\1\1\2\1\1\1\1\4\1\1\1\1'), IEND)
    f('ok_interlaced', ihdr(2, 2, interlace=1), idat(b'\0\12' + b'\0\24' + b'\0\36\50'), IEND)
    f('ok_two_idat', ihdr(), chunk(b'IDAT', zlib.compress(PIXELS, 9)[:5]), chunk(b'IDAT'),
      chunk(b'IDAT', zlib.compress(PIXELS, 9)[5:]), IEND)
    f('ok_text_and_time', ihdr(), chunk(b'gAMA', b'\0\0\xb1\x8f'), chunk(b'tEXt', b'Title\0x'), image,
      chunk(b'tIME', b'\7\xe8\2\36\0\0\0'), IEND)
    f('ok_unknown_ancillary', ihdr(), chunk(b'abCd', b'anything'), image, IEND)
    f('ok_animation', ihdr(), chunk(b'acTL', struct.pack('>II', 2, 0)),
      chunk(b'fcTL', struct.pack('>IIIIIHHBB', 0, 4, 3, 0, 0, 1, 10, 0, 0)), image,
      chunk(b'fcTL', struct.pack('>IIIIIHHBB', 1, 4, 3, 0, 0, 1, 10, 0, 0)),
      chunk(b'fdAT', struct.pack('>I', 2) + zlib.compress(PIXELS, 9)), IEND)
    f('ok_text_bomb', ihdr(), chunk(b'zTXt', b'Comment\0\0' + zlib.compress(bytes(1 << 22), 9)), image, IEND)
    f('ok_profile_bomb', ihdr(), chunk(b'iCCP', b'p\0\0' + zlib.compress(bytes(1 << 22), 9)), image, IEND)
    f('ok_international_text', ihdr(), chunk(b'iTXt', b'a\0\1\0en\0b\0' + zlib.compress(b'text', 9)), image, IEND)

    raw('empty', b'')
    raw('one_byte', SMALL_PNG[:1])
    raw('cut_in_signature', SMALL_PNG[:7])
    raw('cut_after_signature', SMALL_PNG[:8])
    raw('cut_in_ihdr', SMALL_PNG[:20])
    raw('cut_after_ihdr', SMALL_PNG[:33])
    raw('cut_in_chunk_length', SMALL_PNG[:35])
    raw('cut_in_idat', SMALL_PNG[:50])
    raw('cut_before_iend', SMALL_PNG[:-12])
    raw('cut_in_iend', SMALL_PNG[:-1])
    raw('line_ends_changed', SMALL_PNG.replace(b'\r\n', b'\n'))
    raw('high_bit_lost', b'\x09' + SMALL_PNG[1:])
    raw('mng', b'\x8aMNG' + SMALL_PNG[4:])
    raw('byte_after_iend', SMALL_PNG + b'\0')
    raw('zip_after_iend', SMALL_PNG + b'PK\3\4 hidden')
    raw('two_images', SMALL_PNG + SMALL_PNG)
    f('ihdr_missing', image, IEND)
    f('ihdr_second', chunk(b'tEXt', b'a\0b'), ihdr(), image, IEND)
    f('ihdr_twice', ihdr(), ihdr(), image, IEND)
    f('ihdr_short', chunk(b'IHDR', bytes([0, 0, 0, 4, 0, 0, 0, 3, 8, 0, 0, 0])), image, IEND)
    f('ihdr_long', chunk(b'IHDR', bytes([0, 0, 0, 4, 0, 0, 0, 3, 8, 0, 0, 0, 0, 0])), image, IEND)
    f('ihdr_bad_checksum', ihdr()[:-1] + b'\0', image, IEND)
    for name, options in [('width_0', dict(width=0)), ('height_0', dict(height=0)), ('width_16385', dict(width=16385)),
                          ('width_2_to_the_31', dict(width=1 << 31)), ('width_all_ones', dict(width=0xffffffff)),
                          ('both_2_to_the_31_less_1', dict(width=0x7fffffff, height=0x7fffffff)),
                          ('64_mi_pixels_and_more', dict(width=16384, height=4097)),
                          ('64_mi_pixels_in_100_bytes', dict(width=16384, height=4096)),
                          ('64_mi_rgb_16_in_100_bytes', dict(width=16384, height=4096, depth=16, colour=2)),
                          ('depth_0', dict(depth=0)), ('depth_3', dict(depth=3)), ('depth_32', dict(depth=32)),
                          ('rgb_depth_4', dict(depth=4, colour=2)), ('palette_depth_16', dict(depth=16, colour=3)),
                          ('alpha_depth_1', dict(depth=1, colour=4)),
                          ('colour_1', dict(colour=1)), ('colour_5', dict(colour=5)), ('colour_7', dict(colour=7)),
                          ('compression_1', dict(compression=1)), ('filter_method_1', dict(filtering=1)),
                          ('interlace_2', dict(interlace=2))]:
        f(name, ihdr(**options), image, IEND)
    f('palette_missing', ihdr(3, 2, colour=3), idat(rows(b'\0\1\2\2\1\0', 3)), IEND)
    f('palette_after_idat', ihdr(3, 2, colour=3), idat(rows(b'\0\1\2\2\1\0', 3)), palette, IEND)
    f('palette_empty', ihdr(3, 2, colour=3), chunk(b'PLTE'), idat(rows(b'\0\1\2\2\1\0', 3)), IEND)
    f('palette_of_4_bytes', ihdr(3, 2, colour=3), chunk(b'PLTE', b'\1\2\3\4'), idat(rows(b'\0\1\2\2\1\0', 3)), IEND)
    f('palette_of_257', ihdr(3, 2, colour=3), chunk(b'PLTE', bytes(771)), idat(rows(b'\0\1\2\2\1\0', 3)), IEND)
    f('palette_twice', ihdr(3, 2, colour=3), palette, palette, idat(rows(b'\0\1\2\2\1\0', 3)), IEND)
    f('palette_in_grey', ihdr(), palette, image, IEND)
    f('ok_palette_index_3_of_3', ihdr(3, 2, colour=3), palette, idat(rows(b'\0\1\2\2\1\3', 3)), IEND)
    f('idat_missing', ihdr(), IEND)
    f('idat_empty', ihdr(), chunk(b'IDAT'), IEND)
    f('idat_bad_checksum', ihdr(), chunk(b'IDAT', zlib.compress(PIXELS, 9), crc=0x12345678), IEND)
    f('idat_not_zlib', ihdr(), chunk(b'IDAT', b'not compressed'), IEND)
    f('idat_gzip', ihdr(), chunk(b'IDAT', gz(PIXELS)), IEND)
    f('idat_bad_block', ihdr(), chunk(b'IDAT', b'\x78\xda\7\0\0\0\0'), IEND)
    f('idat_cut', ihdr(), chunk(b'IDAT', zlib.compress(PIXELS, 9)[:-8]), IEND)
    f('idat_without_adler', ihdr(), chunk(b'IDAT', zlib.compress(PIXELS, 9)[:-4]), IEND)
    f('idat_bad_adler', ihdr(), chunk(b'IDAT', zlib.compress(PIXELS, 9)[:-1] + b'\0'), IEND)
    f('idat_bytes_after_stream', ihdr(), chunk(b'IDAT', zlib.compress(PIXELS, 9) + b'more'), IEND)
    f('idat_one_row_short', ihdr(), idat(PIXELS[:-5]), IEND)
    f('idat_one_byte_short', ihdr(), idat(PIXELS[:-1]), IEND)
    f('idat_one_row_more', ihdr(), idat(PIXELS + b'\0\1\2\3\4'), IEND)
    f('idat_bomb', ihdr(), idat(PIXELS + bytes(1 << 22)), IEND)
    f('idat_split_by_text', ihdr(), chunk(b'IDAT', zlib.compress(PIXELS, 9)[:5]), chunk(b'tEXt', b'a\0b'),
      chunk(b'IDAT', zlib.compress(PIXELS, 9)[5:]), IEND)
    f('filter_5', ihdr(), idat(PIXELS[:5] + b'\5' + PIXELS[6:]), IEND)
    f('iend_missing', ihdr(), image)
    f('iend_with_data', ihdr(), image, chunk(b'IEND', b'end'))
    f('iend_bad_checksum', ihdr(), image, chunk(b'IEND', crc=0))
    f('unknown_critical', ihdr(), chunk(b'ABCD', b'x'), image, IEND)
    f('iphone', chunk(b'CgBI', b'\x50\0\x20\2'), ihdr(), image, IEND)
    f('chunk_name_escape_codes', ihdr(), chunk(b'\33[1m', b'x'), image, IEND)
    f('chunk_name_zeros', ihdr(), chunk(bytes(4), b''), image, IEND)
    f('chunk_longer_than_file', ihdr(), chunk(b'tEXt', b'a\0b', length=1000), image, IEND)
    f('chunk_2_gib', ihdr(), chunk(b'tEXt', b'a\0b', length=0x7fffffff), image, IEND)
    f('chunk_4_gib', ihdr(), chunk(b'IDAT', b'', length=0xffffffff), image, IEND)
    f('text_bad_checksum', ihdr(), chunk(b'tEXt', b'Title\0x', crc=7), image, IEND)


# --- none of them -----------------------------------------------------------------------------------

def make_other():
    def f(name, data):
        put('other/' + name, data)

    f('nothing', b'')
    f('photo.jpeg', b'\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0\xff\xd9')
    f('animation.gif', b'GIF89a\1\0\1\0\0\0\0;')
    f('arrays.npz', b'PK\3\4\24\0\0\0\0\0' + b'\0' * 16 + b'\7\0\0\0arr.npy')
    f('archive.bz2', b'BZh91AY&SY\x17rE8P\x90\0\0\0\0')
    f('archive.xz', b'\xfd7zXZ\0\0\4\xe6\xd6\xb4F\0\0\0\0\x1c\xdfD!')
    f('archive.zst', b'\x28\xb5\x2f\xfd\x04\0\x01\0\0\x99\xe9\xd8\x51')
    f('not_found.html', b'<!DOCTYPE html>\n<html><title>404 Not Found</title></html>\n')
    f('moved.html', b'<html><head><title>301 Moved</title></head></html>\n')
    f('paper.pdf', b'%PDF-1.7\n%\xe2\xe3\xcf\xd3\n')
    f('program.elf', b'\x7fELF\2\1\1' + bytes(9) + b'\2\0\x3e\0')
    f('weights.h5', b'\x89HDF\r\n\x1a\n' + bytes(8))
    f('model.pickle', b'\x80\2}q\0X\1\0\0\0wq\1cos\nsystem\nq\2.')
    f('digits.csv', b'label,pixel0,pixel1\n5,0,0\n')
    f('config.json', b'{"model": "vae", "seed": 1}\n')
    f('pointer.lfs', b'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9912422\n')
    f('utf16.txt', 'label'.encode('utf-16'))
    f('picture.bmp', b'BM\x3a\0\0\0\0\0\0\0\x36\0\0\0')
    f('zeros', bytes(64))
    f('ones', b'\xff' * 64)
    f('escape_codes.txt', b'\33[31m\33]0;owned\7 text')


def main():
    for folder in ['idx', 'gz', 'npy', 'safetensors', 'png', 'other']:
        shutil.rmtree(os.path.join(HERE, folder), ignore_errors=True)
    make_idx()
    make_gz()
    make_npy()
    make_safetensors()
    make_png()
    make_other()
    total = sum(os.path.getsize(os.path.join(HERE, name)) for name in written)
    print('%d files, %d bytes' % (len(written), total))
    return 0


if __name__ == '__main__':
    sys.exit(main())
