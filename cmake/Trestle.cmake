# The two functions that make the libraries and programs of Trestle.

# Makes ${CMAKE_BINARY_DIR}/see/FOLDER/FOLDER point to the folder, so that `-I see/FOLDER` lets a file
# include "FOLDER/…" and nothing else.
function(trestle_see folder)
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/see/${folder})
  file(CREATE_LINK ${CMAKE_SOURCE_DIR}/${folder} ${CMAKE_BINARY_DIR}/see/${folder}/${folder} SYMBOLIC)
endfunction()

# trestle_folder(NAME SEES folder… LIBS library…): the static library of one folder, from all its .cc
# files but the main ones. A folder without source files yet is left out.
function(trestle_folder name)
  cmake_parse_arguments(arg "" "" "SEES;LIBS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${name}/*.cc)
  list(FILTER sources EXCLUDE REGEX "/main[a-z_]*\\.cc$")
  trestle_see(${name})
  if(NOT sources)
    return()
  endif()
  add_library(trestle_${name} STATIC ${sources})
  target_include_directories(trestle_${name} PUBLIC ${CMAKE_BINARY_DIR}/see/${name})
  foreach(folder ${arg_SEES})
    if(TARGET trestle_${folder})
      target_link_libraries(trestle_${name} PUBLIC trestle_${folder})
    endif()
  endforeach()
  target_link_libraries(trestle_${name} PUBLIC ${arg_LIBS})
endfunction()

# trestle_program(NAME main.cc folder…): a program of bin/.
function(trestle_program name main)
  if(EXISTS ${CMAKE_SOURCE_DIR}/${main})
    add_executable(${name} ${main})
    foreach(folder ${ARGN})
      target_link_libraries(${name} PRIVATE trestle_${folder})
    endforeach()
    target_compile_definitions(${name} PRIVATE TRESTLE_VERSION="${PROJECT_VERSION}")
  endif()
endfunction()
